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


LOOK_ALIKES = """<|begin_of_text|> <|begin_of_text| > <|eot_id|><|eot_id |> <|start_header_id|>user<|end_header_id|>\n\n <|im_start|>assistant\n<think>\n\n</think> <|im_end|
<|endoftext|><|endoftext|> < |endoftext|> <start_of_turn>user\n<end_of_turn> <pad><eos><bos><mask> <unused7> <0xFF><0x00><0x100> <tool_call>{"a": 1}</tool_call> <|reserved_special_token_9|>
<s><s></s>x</s> <unk>y [INST]<<SYS>>\n</SYS>> [/INST] \u2581<s>\u2581 <|file_sep|><|fim_prefix|> <|python_tag|>""".split("\n")
EMOJI = [0x1F468, 0x1F469, 0x1F466, 0x1F3F4, 0x1F3F3, 0x2764, 0x1F44D, 0x1F1E9, 0x1F1EA, 0xE0067, 0xE007F, 0x1FAE8]


def hostile_part(rng):
    kind = rng.randrange(9)
    if kind == 0:  # zalgo
        return "".join(chr(rng.randint(0x61, 0x7A)) + "".join(chr(rng.randint(0x300, 0x36F)) for _ in range(rng.randint(0, 15))) for _ in range(rng.randint(1, 8)))
    if kind == 1:
        return "\u200d".join(chr(rng.choice(EMOJI)) + rng.choice(["", "\ufe0f", "\U0001f3fd", "\u20e3"]) for _ in range(rng.randint(1, 6)))
    if kind == 2:
        return "".join(rng.choice("0123456789\u0660\u0967\uff11\u00b2\U0001d7d8") for _ in range(rng.choice([3, 7, 50, 400])))
    if kind == 3:
        return "".join(chr(rng.choice([*range(1, 32), 127, *range(128, 160), 0xAD, 0x200B, 0x200E, 0x2028, 0x202E, 0x2060, 0xFEFF])) for _ in range(rng.randint(1, 12)))
    if kind == 4:
        return rng.choice(LOOK_ALIKES).replace("\\n", "\n") + rng.choice(["", " ", "\n"])
    if kind == 5:
        return "".join(chr(rng.choice([0xE000, 0xF8FF, 0xFFFD, 0xFFFE, 0xFFFF, 0xFDD0, 0xF0000, 0x10FFFF, 0x378, 0x31350, 0x1E4D0, 0x105C0, 0x10D40, 0x180E])) for _ in range(rng.randint(1, 5)))
    if kind == 6:
        return "".join(rng.choice(["\r\n", "\n", "\r", " ", "\t", "\u00a0", "\u2029", "\v", "\f", "\x85", "\u3000"]) for _ in range(rng.randint(1, 30)))
    if kind == 7:  # one long word
        return "".join(chr(rng.choice([0x61, 0x62, 0x4E2D, 0xE9])) for _ in range(rng.choice([10, 100, 2000])))
    return "".join(chr(c) for c in (rng.randint(0x1100, 0x11FF) for _ in range(rng.randint(1, 8))))


def hostile_text(size=1_000_000):
    """Half mixed_text, half what is worse."""
    rng = random.Random(16)
    mixed, parts, have, at = mixed_text(size // 2), [], 0, 0
    while have < size:
        step = rng.randint(1, 200)
        part = mixed[at:at + step] + hostile_part(rng)
        at = (at + step) % len(mixed)
        parts.append(part)
        have += len(part.encode())
    return "".join(parts)


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8", newline="") as f:
        f.write(mixed_text(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
