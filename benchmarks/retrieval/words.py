"""The content words and the codes of a text: what a search by words could find it by.

Stems come from SQLite's FTS5 (Porter's algorithm, case and diacritics folded), which is also what searches by words.
Words that carry no meaning of their own don't count.
"""

from __future__ import annotations

import re
import sqlite3
from functools import cache

TOKENIZER = "porter unicode61 remove_diacritics 2"

_WRITTEN_AS_ONE = re.compile(r"\w+(?:[.-]\w+)*")

_STOP_WORDS = {
    "en": """
        a about above after again all also although an and any anybody anyone anything are around as at away be because
        been before began begin being below between both but by can could did do does doing don down each either else
        ever every everything for from get gets getting got had has have having he her here hers him his how i if in
        into is it its itself just last least less let like m made make makes making many may me might more most much
        must my neither never no nobody nor not nothing now of off often on once one only or other others our out over
        own per re s same she should since so some somebody someone something still such t than that the their them
        then there these they thing things this those though through to too two under until up us ve very was we were
        what when where whether which while who whom whose why will with within without would yes yet you your
    """,
    "de": """
        aber alle als am an auch auf aus bei bin bis da das dass dem den der des die dies doch du durch ein eine einem
        einen einer eines er es für hat ich ihr im in ist ja kann man mein meine meiner mich mir mit nach nicht noch nur
        ob oder sein sich sie sind so um und uns vom von vor war was wenn wer wie wird wo zu zum zur
    """,
    "fr": """
        à au aux avec ce ces cette comment d dans de des du elle en est et eux il j je l la le les leur lui m ma mais me
        mes mon n ne nous on ou où par pas pour qu que qui s sa se ses si son sur t un une vous y
    """,
}


def content_stems(text: str, language: str) -> frozenset[str]:
    """The stems of the text's words, less those without meaning of their own in its language.

    Those are known of English, German and French (`en`, `de`, `fr`); of a text in another language all words count.
    """
    return _stems(text) - _stems(_STOP_WORDS.get(language, ""))


def codes(text: str) -> frozenset[str]:
    """Words with a digit or a hyphen, a dot or an underline inside, in small letters: `e-19`, `5.3.4`, `date_bucket`.

    The tokenizer takes them apart, and a search by words finds them as phrases.
    """
    return frozenset(word.casefold() for word in _WRITTEN_AS_ONE.findall(text) if not word.isalpha())


@cache
def _stems(text: str) -> frozenset[str]:
    database = sqlite3.connect(":memory:")
    try:
        database.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = '{TOKENIZER}')")
        database.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(texts, 'row')")
        database.execute("INSERT INTO texts (text) VALUES (?)", (text,))
        return frozenset(term for (term,) in database.execute("SELECT term FROM terms"))
    finally:
        database.close()
