"""Tables of verbs and function words. Each line is an entry, and `|` separates its cells."""

from grammar_corpus.trees import Modal, Name, Pronoun, Verb

# English base, past (- if it looks like the present) | German infinitive with its separable prefix, third person, [ist]
# participle | kinds of subjects | kinds of objects
INTRANSITIVE = """
    sleep slept | schlafen schläft geschlafen | person animal
    work worked | arbeiten arbeitet gearbeitet | person
    laugh laughed | lachen lacht gelacht | person
    cry cried | weinen weint geweint | person
    sing sang | singen singt gesungen | person animal
    dance danced | tanzen tanzt getanzt | person
    play played | spielen spielt gespielt | person animal
    wait waited | warten wartet gewartet | person animal
    swim swam | schwimmen schwimmt ist geschwommen | person animal
    dream dreamed | träumen träumt geträumt | person
    smile smiled | lächeln lächelt gelächelt | person
    get_up got_up | auf-stehen steht ist aufgestanden | person animal
    wake_up woke_up | auf-wachen wacht ist aufgewacht | person animal
    fall_asleep fell_asleep | ein-schlafen schläft ist eingeschlafen | person animal
    run_away ran_away | weg-laufen läuft ist weggelaufen | person animal
    come_back came_back | zurück-kommen kommt ist zurückgekommen | person animal
    arrive arrived | an-kommen kommt ist angekommen | person vehicle
"""
ALONE = ("sleep", "dream", "fall asleep", "wake up", "get up", "cry", "smile", "run away")
"""Activities that people do alone."""
MOTION = """
    go went | gehen geht ist gegangen | person animal
    drive drove | fahren fährt ist gefahren | person vehicle
    travel travelled | reisen reist ist gereist | person
    hike hiked | wandern wandert ist gewandert | person
    run ran | rennen rennt ist gerannt | person animal
    return returned | zurück-kehren kehrt ist zurückgekehrt | person animal
"""
TRANSITIVE = """
    buy bought | kaufen kauft gekauft | person | food drink text thing garment vehicle
    sell sold | verkaufen verkauft verkauft | person | food drink text thing garment vehicle
    see saw | sehen sieht gesehen | person animal | person animal text thing garment vehicle place
    look_for looked_for | suchen sucht gesucht | person animal | person animal text thing garment
    find found | finden findet gefunden | person animal | person animal text thing garment
    paint painted | malen malt gemalt | person | person animal thing vehicle place room
    repair repaired | reparieren repariert repariert | person | thing vehicle opening
    eat ate | essen isst gegessen | person animal | food
    drink drank | trinken trinkt getrunken | person animal | drink
    read - | lesen liest gelesen | person | text
    write wrote | schreiben schreibt geschrieben | person | text
    wash washed | waschen wäscht gewaschen | person | animal garment vehicle opening
    carry carried | tragen trägt getragen | person | thing garment food
    love loved | lieben liebt geliebt | person animal | person animal food
    know knew | kennen kennt gekannt | person | person place text
    visit visited | besuchen besucht besucht | person | person place
    invite invited | ein-laden lädt eingeladen | person | person
    call called | an-rufen ruft angerufen | person | person
    meet met | treffen trifft getroffen | person animal | person animal
    photograph photographed | fotografieren fotografiert fotografiert | person | person animal place vehicle
    open opened | öffnen öffnet geöffnet | person | opening
    close closed | zu-machen macht zugemacht | person | opening
    lose lost | verlieren verliert verloren | person | thing garment text
    forget forgot | vergessen vergisst vergessen | person | thing garment text person
    steal stole | stehlen stiehlt gestohlen | person animal | thing garment vehicle food
    throw_away threw_away | weg-werfen wirft weggeworfen | person | thing garment text food
    take_along took_along | mit-nehmen nimmt mitgenommen | person | person animal thing garment food
    bring_back brought_back | zurück-bringen bringt zurückgebracht | person | text thing garment vehicle
    pick_up picked_up | ab-holen holt abgeholt | person | person text
    take_off took_off | aus-ziehen zieht ausgezogen | person | garment
    look_at looked_at | an-sehen sieht angesehen | person animal | person animal text thing place room
    clean_up cleaned_up | auf-räumen räumt aufgeräumt | person | room
    feed fed | füttern füttert gefüttert | person | animal
    catch caught | fangen fängt gefangen | person animal | animal
    bite bit | beißen beißt gebissen | animal | person animal
    order ordered | bestellen bestellt bestellt | person | food drink text thing garment
    need needed | brauchen braucht gebraucht | person | thing garment vehicle text
"""
DATIVE = """
    help helped | helfen hilft geholfen | person animal | person animal
    thank thanked | danken dankt gedankt | person | person
    follow followed | folgen folgt ist gefolgt | person animal | person animal vehicle
    answer answered | antworten antwortet geantwortet | person | person
    listen_to listened_to | zu-hören hört zugehört | person animal | person
"""
DITRANSITIVE = """
    give gave | geben gibt gegeben | person | food drink text thing garment
    show showed | zeigen zeigt gezeigt | person | text thing garment place room vehicle
    send sent | schicken schickt geschickt | person | text thing garment
    lend lent | leihen leiht geliehen | person | text thing garment vehicle
    recommend recommended | empfehlen empfiehlt empfohlen | person | food drink text
    bring brought | bringen bringt gebracht | person | food drink text thing garment
"""
STATEMENT = """
    say said | sagen sagt gesagt | person
    know knew | wissen weiß gewusst | person
    believe believed | glauben glaubt geglaubt | person
    hope hoped | hoffen hofft gehofft | person
    hear heard | hören hört gehört | person
    write wrote | schreiben schreibt geschrieben | person
"""
DOUBT = """
    ask asked | fragen fragt gefragt | person
"""
ATTEMPT = """
    try tried | versuchen versucht versucht | person
    promise promised | versprechen verspricht versprochen | person
    forget forgot | vergessen vergisst vergessen | person
    hope hoped | hoffen hofft gehofft | person
"""
WEATHER = """
    rain rained | regnen regnet geregnet |
    snow snowed | schneien schneit geschneit |
"""

# English | German | declension, adjectives after it. The last one holds nouns without an article
DETERMINERS = """
    the | der | der weak
    this/these | dies | dies weak
    a | ein | ein mixed
    every | jed | dies weak
    all | all | dies weak
    many | viel | dies strong
    two | zwei | none strong
    three | drei | none strong
    five | fünf | none strong
    no | kein | ein mixed
    my | mein | ein mixed
    his | sein | ein mixed
    her | ihr | ein mixed
    our | unser | ein mixed
    their | ihr | ein mixed
    - | - | none strong
"""

# English | German | tenses. Where the tense of a clause would differ between the languages, the entry leaves it out.
TIMES = """
    today | heute | present past future
    now | jetzt | present
    every day | jeden Tag | present
    yesterday | gestern | past
    last week | letzte Woche | past
    tomorrow | morgen | future
    soon | bald | future
    next year | nächstes Jahr | future
    in the morning | am Morgen | present past future
    in the evening | am Abend | present past future
    at night | in der Nacht | present past future
    in summer | im Sommer | present past future
    in winter | im Winter | present past future
    on Monday | am Montag | past future
    on Friday | am Freitag | past future
    on Sunday | am Sonntag | past future
"""
UNDENIED = ("soon", "every day")
"""Times that sound odd with `not`."""
FREQUENCIES = """
    often | oft | present past
    always | immer | present past
    never | nie | present past
    sometimes | manchmal | present past
    seldom | selten | present past
"""
QUESTIONS = """
    - | -
    where | wo
    when | wann
    why | warum
"""
CONJUNCTIONS = """
    because | weil
    although | obwohl
    if | wenn
    while | während
    before | bevor
    as soon as | sobald
"""

MODALS = (
    Modal(english="can", german_singular="kann", german_plural="können", negatable=True),
    Modal(english="must", german_singular="muss", german_plural="müssen", negatable=False),  # must not: darf nicht
    Modal(english="should", german_singular="soll", german_plural="sollen", negatable=True),
    Modal(
        english="may", german_singular="darf", german_plural="dürfen", negatable=False
    ),  # `may not` could also mean `it is possible that not`
    Modal(english="want to", german_singular="will", german_plural="wollen", negatable=True),
)
WILL = Modal(english="will", german_singular="wird", german_plural="werden", negatable=True)
BE = Verb(english="be", english_past="was", german="sein", third="ist", participle="gewesen", with_sein=True)

I = Pronoun(subject="I", object="me", nominative="ich", accusative="mich", dative="mir", first_person=True)  # noqa: E741
WE = Pronoun(subject="we", object="us", nominative="wir", accusative="uns", dative="uns", plural=True)
HE = Pronoun(subject="he", object="him", nominative="er", accusative="ihn", dative="ihm")
SHE = Pronoun(subject="she", object="her", nominative="sie", accusative="sie", dative="ihr")
THEY = Pronoun(subject="they", object="them", nominative="sie", accusative="sie", dative="ihnen", plural=True)
IT = Pronoun(subject="it", object="it", nominative="es", accusative="es", dative="ihm")
PRONOUNS = (I, WE, HE, SHE, THEY)
NAMES = tuple(map(Name, ("Anna", "Maria", "Peter", "Paul", "Julia", "Karl", "Emma", "Martin", "Lena", "Otto")))
