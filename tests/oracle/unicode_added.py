"""Writes src/text/unicode_added.inc: what Unicode 15, 15.1 and 16 added to 14, as Oniguruma inside Hugging Face tokenizers has it.

PCRE2 10.40 to 10.42 know Unicode 14, utf8proc 2.8 knows 15. Needs: tokenizers 0.23, Python 3.11 or 3.12 (whose unicodedata says what Unicode 14
or 15 assigned; the range that is written begins behind 14).
usage: unicode_added.py src/text/unicode_added.inc"""
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Cf".split()
CHARS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def members(pattern):
    rest = set()
    for text, _ in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str("".join(CHARS)):
        rest.update(text)
    return {c for c in CHARS if c not in rest}


def ranges(chars):
    out = []
    for c in sorted(map(ord, chars)):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def main(path):
    assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
    rows = []
    alphabetic, han = members(r"\p{Alphabetic}"), members(r"\p{Han}")
    for category in CATEGORIES:
        new = {c for c in members(r"\p{%s}" % category) if unicodedata.category(c) == "Cn"}
        for alpha in (False, True):
            for is_han in (False, True):
                chosen = {c for c in new if (c in alphabetic) == alpha and (c in han) == is_han}
                rows += [(a, b, category, alpha, is_han) for a, b in ranges(chosen)]
    with open(path, "w", encoding="ascii") as f:
        f.write("/* Written by tests/oracle/unicode_added.py: first, last, general category, Alphabetic, script Han. */\n")
        line = ""
        for a, b, category, alpha, is_han in sorted(rows):
            item = f'{{0x{a:x}, 0x{b:x}, "{category}", {int(alpha)}, {int(is_han)}}},'
            if len(line) + len(item) + 1 > 148:
                f.write(line + "\n")
                line = ""
            line += (" " if line else "") + item
        f.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
