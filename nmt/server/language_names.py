"""The English names of languages."""

from nmt.metrics.languages import language_code

_NAMES = """
af Afrikaans|am Amharic|ar Arabic|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali|bs Bosnian|ca Catalan
|chr Cherokee|cs Czech|cy Welsh|da Danish|de German|el Greek|en English|eo Esperanto|es Spanish|et Estonian|eu Basque
|fa Persian|fi Finnish|fo Faroese|fr French|fy Western Frisian|ga Irish|gd Scottish Gaelic|gl Galician|gn Guarani
|gu Gujarati|ha Hausa|haw Hawaiian|he Hebrew|hi Hindi|hr Croatian|hu Hungarian|hy Armenian|id Indonesian|ig Igbo
|is Icelandic|it Italian|ja Japanese|ka Georgian|kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz
|la Latin|lb Luxembourgish|lo Lao|lt Lithuanian|lv Latvian|mg Malagasy|mi Maori|mk Macedonian|ml Malayalam
|mn Mongolian|mr Marathi|ms Malay|mt Maltese|my Burmese|nb Norwegian Bokmål|nds Low German|ne Nepali|nl Dutch
|nn Norwegian Nynorsk|no Norwegian|oc Occitan|pa Punjabi|pl Polish|ps Pashto|pt Portuguese|qu Quechua|ro Romanian
|ru Russian|rw Kinyarwanda|se Northern Sami|si Sinhala|sk Slovak|sl Slovenian|so Somali|sq Albanian|sr Serbian
|st Sesotho|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|tl Tagalog|tr Turkish
|tt Tatar|uk Ukrainian|ur Urdu|uz Uzbek|vi Vietnamese|wo Wolof|xh Xhosa|yi Yiddish|yo Yoruba|zh Chinese|zu Zulu
"""
NAMES = dict(entry.split(" ", 1) for entry in _NAMES.replace("\n", "").split("|"))


def get_name(code: str) -> str:
    """Return the English name of a language, or the code itself if the name is not known.

    >>> get_name("de"), get_name("pt-BR"), get_name("xyz")
    ('German', 'Portuguese (BR)', 'xyz')
    """
    name = NAMES.get(language_code(code))
    if name is None:
        return code
    _, _, region = code.replace("_", "-").partition("-")
    return f"{name} ({region})" if region else name
