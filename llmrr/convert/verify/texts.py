"""Texts on which two tokenizers are compared: what people, programs and mistakes write.

None is long enough for llama.cpp's regular expressions, which recurse once for each character.
"""
# ruff: noqa: RUF001

TEXTS: tuple[str, ...] = (
    # English, with what pre-tokenizers treat apart: suffixes, case, numbers, punctuation
    "The quick brown fox jumps over 13 lazy dogs, doesn't it?",
    "I'm sure they'll say we've won; she'd agree, and it's what you're after. That's Tom's.",
    "I'M SURE THEY'LL SAY WE'VE WON. IT'S 'REALLY' O'CLOCK, DON'T SHOUT!",
    "camelCase PascalCase snake_case kebab-case SCREAMING_CASE mixedUPPERandLower iOS eBay",
    "Wait... what?! (No -- really.) \"Quoted\", 'single', «guillemets», “curly”, ‘too’…",
    "e.g. i.e. U.S.A. a.m. p.m. Dr. Smith vs. Jones et al. #hashtag @mention & co.",
    "pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    # numbers
    "1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890",
    "3.14159 -273.15 1,000,000.00 1e-10 0x1F 0b1010 0o755 1/2 50% $9.99 €5 £7 ¥800",
    "2024-02-29T23:59:60Z 12:30 +49 (0)30 1234-5678 192.168.0.1 v1.2.3-rc.4 ½ ² ³ ⅷ",
    "٠١٢٣٤٥٦٧٨٩ ०१२३४५६७८९ ๐๑๒๓ 一二三 ①②③ １２３",
    # code
    "def add(a: int, b: int = 0) -> int:\n    \"\"\"Sum.\"\"\"\n    return a + b  # done\n",
    "class Stack<T> {\n\tprivate items: T[] = [];\n\tpush(x: T): void { this.items.push(x); }\n}\n",
    "#include <stdio.h>\nint main(void)\n{\n\tprintf(\"%d\\n\", 1 << 3);\n\treturn 0;\n}\n",
    "fn main() {\n    let v: Vec<_> = (1..=3).map(|x| x * 2).collect();\n    print!(\"{v:?}\")}\n",
    "SELECT name, COUNT(*) AS n FROM users WHERE age >= 18 GROUP BY name ORDER BY n DESC;",
    "<div class=\"a-b\"><p>x &lt; y &amp;&amp; z</p><!-- note --><br/></div>",
    "{\"key\": [1, 2.5, null, true], \"nested\": {\"a\\\"b\": \"c\\\\d\"}}",
    "if [ -f \"$HOME/.bashrc\" ]; then . ~/.bashrc && echo ${PATH//:/ } | tr ' ' '\\n'; fi",
    "x = lambda *a, **k: (a[0] if a else None) or k.get('x', {})!=[]; y //= 2; z **= 3 ^ ~1",
    "# Title\n\n* item **bold** _it_\n1. one\n\n```py\nprint('hi')\n```\n\n| a | b |\n|---|---|\n",
    "https://example.org:8080/path/to/file.html?query=a%20b&x=1#frag mailto:me@example.org",
    "C:\\Users\\me\\Documents\\file (1).txt ../../etc/passwd /usr/local/bin:/usr/bin",
    "\\begin{equation} E = mc^2 \\quad \\sum_{i=1}^{n} x_i \\leq \\frac{1}{2} \\end{equation}",
    # white space
    " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n\n", " \n \n\n  \n",
    " leading space", "trailing space ", "two  spaces   three    four     five",
    "tab\tseparated\t\tvalues\t", "line one\r\nline two\r\n\r\nline four\rold mac",
    "    four\n        eight\n\t\ttabs\n  \t mixed \t \n",
    "no-break\u00a0space thin\u2009space ideographic\u3000space line\u2028break zero\u200bspace",
    # scripts
    "Größe, Übermut, Straße, naïve café, señor, garçon, Ångström, œuvre, İstanbul, ıssız",
    "Zażółć gęślą jaźń. Příliš žluťoučký kůň. Árvíztűrő tükörfúrógép. Đại học Việt Nam",
    "Быстрая коричневая лиса прыгает через ленивую собаку. Їжак і ґанок. ЗДРАВСТВУЙТЕ",
    "Η γρήγορη καφέ αλεπού πηδάει. ΑΒΓΔ ς σ", "Շատ բարի։ გამარჯობა, როგორ ხარ?",
    "快速的棕色狐狸跳过了懒狗。今天天气很好，我们去公园吧！", "繁體中文：龍飛鳳舞，鬱鬱寡歡。",
    "素早い茶色の狐は、のろまな犬を飛び越える。カタカナとひらがなとABCと１２３。",
    "빠른 갈색 여우가 게으른 개를 뛰어넘습니다. 한국어 띄어쓰기 ㅋㅋㅋ",
    "الثعلب البني السريع يقفز فوق الكلب الكسول، أليس كذلك؟ مَرْحَبًا",
    "שָׁלוֹם עולם, מה שלומך היום?",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। क्षत्रिय",
    "দ্রুত বাদামী শিয়াল।", "வணக்கம் உலகம்",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ", "ຂໍ້ຄວາມ ភាសាខ្មែរ မြန်မာဘာသာ", "አማርኛ ቋንቋ",
    "ᎣᏏᏲ ᓄᓇᕗᑦ 𐌰𐌱𐌲 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒞 ℵ ∀x∈ℝ: ⌈x⌉ = −⌊−x⌋ ≠ ∅ → ⇒ ∞",
    # emoji and marks
    "😀 👍🏽 👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 ❤️ ☕ 1️⃣ 🤷🏿‍♀️ text😀text", "😀😀😀 🎉🎉 ✅❌ ™ © ®",
    "e\u0301 a\u0308 n\u0303 o\u0302\u0323 A\u030a",
    "Z\u0351\u036b\u0343a\u0363\u0346lgo\u0321\u0349",
    "ﬁ ﬂ ﬀ Ｆｕｌｌｗｉｄｔｈ ｶﾞ ㎏ № Ⅳ ª º ½ ″ ․", "\ufeffmark \ufffd \u00ad soft\u00adhyphen",
    # long and odd
    "a" * 300, "ab" * 120, "=" * 90 + "\n" + "-" * 77, "。" * 20 + "!" * 33 + "?!" * 9,
    "W" * 40 + "ö" * 40 + "字" * 40, "0" * 64, "x" * 101 + " y",
    # what looks like control tokens, and what is none of them
    "<s> </s> <unk> <pad> <mask> [CLS] [SEP] [MASK] [UNK] [PAD]",
    "<|endoftext|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n", "[INST] Hi [/INST] ok",
    "<think>\nhm\n</think>\n\n<tool_call>{\"name\": \"f\"}</tool_call> <|user|> <|end|> <0x0A> ▁",
    "< |endoftext| > <|endoftext <fim_prefix>a<fim_suffix>b<fim_middle> </S> <S>",
    "null\u0001byte\u0007bell\u001b[31mred\u001b[0m\u007fdel\u0085next",
)  # fmt: skip
