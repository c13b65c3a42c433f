"""1 MB of text that tokenizers find hard: many scripts, code, numbers, blanks of every kind, marks, emoji, rare and unassigned characters.

The same text on every run. Import: mixed_text(bytes). As a program: mixed_text.py FILE [BYTES] writes it."""
import random
import sys

SAMPLES = """The quick brown fox jumps over the lazy dog; it's what they'd've done, I'LL SAY, WE'RE sure.
Überall schöne Grüße: Straße, Fußgänger, naïve café, œuvre, Ærøskøbing, Łódź, İstanbul, ıI, ſt.
Съешь же ещё этих мягких французских булок, да выпей чаю. Ёлка № 5 — «ура»!
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Ωραία ΑΒΓ ΐ ΰ ὦ ᾳ.
数字と言葉、ひらがな、カタカナ、ﾊﾝｶｸ。日本語のテキストです。ー〜
中文分词很难。今天天气不错，我们去公园吧！２０２４年１２月３１日。𠀀𪜀
한국어 텍스트도 있습니다. 가각갂 ㄱㄴㄷ 조합형: \u1100\u1161\u11a8
هذا نص عربي مع أرقام ١٢٣٤ وتشكيل: مُحَمَّدٌ، ثم فاصلة؛ سؤال؟
זהו טקסט בעברית עם נִקּוּד ו־123.
यह हिन्दी पाठ है। क्षत्रिय ज्ञान १२३४५। বাংলা লেখা। தமிழ் எழுத்து. తెలుగు. ไทยภาษาไทยไม่มีเว้นวรรค
Tiếng Việt có dấu: phở, Đường, nghiêng. e\u0301a\u0308o\u0302\u0323 \u1e69 s\u0323\u0307
ქართული ენა, Հայերեն, አማርኛ, ភាសាខ្មែរ, မြန်မာ, བོད་ཡིག, ᏣᎳᎩ, ꮳꮃꭹ, 𐐔𐐯𐑅𐐨𐑉𐐯𐐻
😀😃😄 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽 ☕️ ⌘ ☃ ♥ ✓ \U0001f9ff\U0001fae0
for (int i = 0; i < n; ++i) {\n\tsum += x[i] * 0x1F;  // comment\n\t\treturn;\n}
def f(x):\n    return {'a': [1, 2, 3.14e-10], "b": None}   # ok
<html><body class="x">&nbsp;&lt;p&gt;</body></html> https://example.com/a?b=c&d=%20#e user@host.org
1 12 123 1234 12345 1234567890 3.14159 1,000,000 1e-5 ½ ⅓ ² ³ Ⅷ ٣ ৩ ๓ 一二三 ①②
$100 €50 £3 ¥9 ± × ÷ ≠ ≤ ∑ ∫ √ ∞ ∂ → ← ⇒ ⟨a|b⟩ \\frac{1}{2} `code` ```block``` ~~~ *** --- ___ ... … !!! ??? ?!
“quotes” ‘single’ „low“ «guillemets» ‹x› – — ― ‐ ‑ · • ‡ § ¶ © ® ™ ° ª º ¿ ¡
<s> </s> <unk> <|endoftext|> <|im_start|>user\nHi<|im_end|> <0x0A> [INST] <<SYS>> <bos> <eot> ▁ ▁▁x Ġ Ċ
x\u00a0y\u2003z\u3000w\u200bv\u200cu\u200dt\ufeffs\u2028r\u2029q\u0085p\u1680o\u202fn\u205fm\u00adl
Overall score: 8.5.\nOverall score: 10.\r\n\r\n\r\nDone.\n\n\n\n  \n\t\n   \t end""".split("\n")
SAMPLES = [s.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r") for s in SAMPLES]
BLANKS = [" ", " ", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\r\n", "\t", " \n", "\n ", "\n    ", "        ", "\u3000", "\u00a0", " " * 20, ""]
RANGES = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x5FF), (0x900, 0xDFF), (0x1E00, 0x20CF), (0x2100, 0x2BFF), (0x3000, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFD), (0x10000, 0x104FF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0xE000, 0xE0FF), (0x1, 0x10FFFF)]


def random_chars(rng):
    low, high = rng.choice(RANGES)
    chars = (rng.randint(low, high) for _ in range(rng.randint(1, 12)))
    return "".join(chr(c) for c in chars if not 0xD800 <= c < 0xE000)


def mixed_text(size=1_000_000):
    rng = random.Random(20241124)
    words = [w for s in SAMPLES for w in s.split(" ") if w]
    parts, have = [], 0
    while have < size:
        kind = rng.random()
        if kind < 0.25:
            part = rng.choice(SAMPLES)
        elif kind < 0.75:
            part = " ".join(rng.choice(words) for _ in range(rng.randint(1, 30)))
        elif kind < 0.85:
            part = random_chars(rng)
        elif kind < 0.9:
            part = "".join(rng.choice(words) for _ in range(rng.randint(2, 6)))
        elif kind < 0.95:
            part = str(rng.randint(0, 10 ** rng.randint(1, 30)))
        else:
            part = rng.choice("ab=-_. \n#") * rng.randint(2, 200)
        part += rng.choice(BLANKS)
        parts.append(part)
        have += len(part.encode())
    return "".join(parts)


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8", newline="") as f:
        f.write(mixed_text(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
