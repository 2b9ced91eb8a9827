"""Tables of nouns, places and adjectives. Each line is an entry, and `|` separates its cells."""

# Nouns by kind: English (/ irregular plural) | as in a dictionary: article, nominative, genitive ending, plural ending
# or form. A masculine noun with the genitive in -n or -en has it in the accusative and the dative too. No plural: 0.
NOUNS = {
    "person": """
        teacher | der Lehrer -s -
        doctor | der Arzt -es Ärzte
        farmer | der Bauer -n -n
        baker | der Bäcker -s -
        student | der Student -en -en
        boy | der Junge -n -n
        girl | das Mädchen -s -
        child/children | das Kind -es -er
        man/men | der Mann -es Männer
        woman/women | die Frau - -en
        mother | die Mutter - Mütter
        father | der Vater -s Väter
        daughter | die Tochter - Töchter
        son | der Sohn -es Söhne
        sister | die Schwester - -n
        brother | der Bruder -s Brüder
        aunt | die Tante - -n
        uncle | der Onkel -s -
        grandmother | die Großmutter - Großmütter
        neighbour | der Nachbar -n -n
        friend | der Freund -es -e
        guest | der Gast -es Gäste
        painter | der Maler -s -
        queen | die Königin - -nen
        king | der König -s -e
        judge | der Richter -s -
        tourist | der Tourist -en -en
        gardener | der Gärtner -s -
        colleague | der Kollege -n -n
        lady | die Dame - -n
    """,
    "animal": """
        dog | der Hund -es -e
        cat | die Katze - -n
        horse | das Pferd -es -e
        cow | die Kuh - Kühe
        bird | der Vogel -s Vögel
        pig | das Schwein -s -e
        mouse/mice | die Maus - Mäuse
        bear | der Bär -en -en
        lion | der Löwe -n -n
        goat | die Ziege - -n
        duck | die Ente - -n
        donkey | der Esel -s -
        wolf/wolves | der Wolf -s Wölfe
        monkey | der Affe -n -n
    """,
    "food": """
        apple | der Apfel -s Äpfel
        egg | das Ei -es -er
        cake | der Kuchen -s -
        potato | die Kartoffel - -n
        pear | die Birne - -n
        sausage | die Wurst - Würste
        cherry | die Kirsche - -n
        bread | das Brot -es 0
        cheese | der Käse -s 0
        soup | die Suppe - 0
        meat | das Fleisch -es 0
        rice | der Reis -es 0
    """,
    "drink": """
        water | das Wasser -s 0
        milk | die Milch - 0
        coffee | der Kaffee -s 0
        tea | der Tee -s 0
        wine | der Wein -s 0
        juice | der Saft -s 0
    """,
    "text": """
        book | das Buch -es Bücher
        letter | der Brief -es -e
        newspaper | die Zeitung - -en
        postcard | die Postkarte - -n
        novel | der Roman -s -e
        story | die Geschichte - -n
        poem | das Gedicht -s -e
        report | der Bericht -s -e
    """,
    "thing": """
        key | der Schlüssel -s -
        bag | die Tasche - -n
        lamp | die Lampe - -n
        knife/knives | das Messer -s -
        plate | der Teller -s -
        cup | die Tasse - -n
        bottle | die Flasche - -n
        umbrella | der Regenschirm -s -e
        clock | die Uhr - -en
        picture | das Bild -es -er
        gift | das Geschenk -s -e
        ball | der Ball -s Bälle
        suitcase | der Koffer -s -
        camera | die Kamera - -s
        basket | der Korb -s Körbe
        flower | die Blume - -n
        mirror | der Spiegel -s -
        table | der Tisch -es -e
        chair | der Stuhl -s Stühle
    """,
    "garment": """
        coat | der Mantel -s Mäntel
        hat | der Hut -es Hüte
        shirt | das Hemd -es -en
        shoe | der Schuh -s -e
        dress | das Kleid -es -er
        jacket | die Jacke - -n
        scarf/scarves | der Schal -s -s
    """,
    "vehicle": """
        car | das Auto -s -s
        bicycle | das Fahrrad -s Fahrräder
        bus | der Bus -ses -se
        train | der Zug -s Züge
        ship | das Schiff -s -e
        boat | das Boot -s -e
    """,
    "opening": """
        door | die Tür - -en
        window | das Fenster -s -
        drawer | die Schublade - -n
        box | die Kiste - -n
    """,
    "place": """
        school | die Schule - -n
        station | der Bahnhof -s Bahnhöfe
        market | der Markt -es Märkte
        city | die Stadt - Städte
        village | das Dorf -es Dörfer
        forest | der Wald -es Wälder
        park | der Park -s -s
        museum | das Museum -s Museen
        library | die Bibliothek - -en
        church | die Kirche - -n
        bridge | die Brücke - -n
        beach | der Strand -s Strände
        lake | der See -s -n
        river | der Fluss -es Flüsse
        mountain | der Berg -es -e
        island | die Insel - -n
        restaurant | das Restaurant -s -s
        hotel | das Hotel -s -s
        theatre | das Theater -s -
        castle | das Schloss -es Schlösser
        street | die Straße - -n
        field | das Feld -es -er
        roof | das Dach -es Dächer
    """,
    "room": """
        kitchen | die Küche - -n
        room | das Zimmer -s -
        cellar | der Keller -s -
        office | das Büro -s -s
        shop | der Laden -s Läden
        house | das Haus -es Häuser
        garden | der Garten -s Gärten
    """,
}

# Prepositions of place and of direction: English | German | places. A place has the dative. A direction has the
# accusative, except after `zu`.
LOCATIONS = """
    in | in | house garden kitchen school city village forest park museum library church restaurant
    in | in | shop office hotel theatre castle room cellar
    at | an | station lake river
    at | auf | market
    on | an | beach
    on | auf | bridge mountain island street field roof
"""
DIRECTIONS = """
    into | in | house garden kitchen forest shop room cellar
    to | in | city village park museum library church restaurant office hotel theatre
    to | zu | school station market bridge river castle
    to | an | beach lake
    onto | auf | mountain street field roof
    to | auf | island
"""

# English | German (/ stem before endings) | the kinds of nouns that it can describe
ADJECTIVES = """
    old | alt | person animal text thing garment vehicle opening place room
    young | jung | person animal
    big | groß | animal thing vehicle opening place food room
    small | klein | animal thing vehicle opening place food person room
    new | neu | text thing garment vehicle opening
    beautiful | schön | person animal thing garment vehicle place room
    red | rot | thing garment vehicle opening
    blue | blau | thing garment vehicle opening
    green | grün | thing garment vehicle opening
    black | schwarz | animal garment vehicle thing
    white | weiß | animal garment vehicle thing opening
    expensive | teuer/teur | food drink thing garment vehicle
    cheap | billig | food drink thing garment vehicle
    heavy | schwer | thing opening
    long | lang | text garment
    short | kurz | text garment
    cold | kalt | food drink
    hot | heiß | food drink
    fresh | frisch | food drink
    good | gut | food drink text
    interesting | interessant | text
    boring | langweilig | text
    clever | klug | person animal
    friendly | freundlich | person animal
    tired | müde/müd | person animal
    happy | glücklich | person
    sad | traurig | person
    hungry | hungrig | person animal
    rich | reich | person
    poor | arm | person
    famous | berühmt | person text place
    lazy | faul | person animal
    brave | mutig | person
    strong | stark | person animal
    dark | dunkel/dunkl | place room
    modern | modern | vehicle room
    broken | kaputt | thing vehicle opening
    dirty | schmutzig | animal garment vehicle thing opening room
    dangerous | gefährlich | animal
    fast | schnell | vehicle
"""

PASSING = ("tired", "happy", "sad", "hungry", "dirty", "cold", "hot", "fresh", "broken", "lazy", "cheap", "expensive")
"""Adjectives of states that change from day to day."""
