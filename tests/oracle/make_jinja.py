"""Writes tests/golden/jinja/cases.json: templates, variables and what jinja2 renders under the rules of transformers'
chat_template_utils.py (copied below, so that only jinja2 is needed).

    python3 tests/oracle/make_jinja.py            # writes
    python3 tests/oracle/make_jinja.py --check    # compares

Made with jinja2 3.1.6. The templates are written for this file. A case is {"template", "vars", "text"} or, when jinja2 refuses,
{"template", "vars", "error": "compile" | "render"}."""

import json
import os
import sys

import jinja2
import jinja2.ext
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "jinja", "cases.json")


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(lineno)

    def _run(self, caller):
        return caller()


class Namespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            Namespace._check(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        Namespace._check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["namespace"] = Namespace
    return env


# ---- chat templates of the usual shapes, written here ----
CHAT = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "chatml_default": "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are kind.<|im_end|>\\n' }}"
    "{% endif %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "llama3": "{% set ms = messages %}{% for m in ms %}{% set c = '<|h|>' + m['role'] + '<|/h|>\n\n' + m['content'] | trim + '<|eot|>' %}"
    "{% if loop.index0 == 0 %}{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}{% if add_generation_prompt %}{{ '<|h|>assistant<|/h|>\n\n' }}{% endif %}",
    "zephyr": "{% for m in messages %}\n{% if m['role'] == 'user' %}\n{{ '<|user|>\\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'system' %}\n"
    "{{ '<|system|>\\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'assistant' %}\n{{ '<|assistant|>\\n'  + m['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "mistral": "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if m['role'] == 'user' %}"
    "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token + ' ' }}{% else %}"
    "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set sys = messages[0]['content'] %}{% else %}{% set rest = messages %}"
    "{% set sys = false %}{% endif %}{% for m in rest %}{% if loop.index0 == 0 and sys != false %}{% set c = '<<SYS>>\\n' + sys + '\\n<</SYS>>\\n\\n' + m['content'] %}"
    "{% else %}{% set c = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + c.strip() + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + c.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "gemma": "{{ bos_token }}\n{%- if messages[0]['role'] == 'system' -%}\n    {%- if messages[0]['content'] is string -%}\n        {%- set prefix = messages[0]['content'] + '\\n\\n' -%}\n"
    "    {%- else -%}\n        {%- set prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}\n    {%- endif -%}\n    {%- set ms = messages[1:] -%}\n{%- else -%}\n"
    "    {%- set prefix = '' -%}\n    {%- set ms = messages -%}\n{%- endif -%}\n{%- for m in ms -%}\n    {%- if (m['role'] == 'assistant') -%}\n        {%- set role = 'model' -%}\n"
    "    {%- else -%}\n        {%- set role = m['role'] -%}\n    {%- endif -%}\n    {{ '<start_of_turn>' + role + '\\n' + (prefix if loop.first else '') }}\n"
    "    {%- if m['content'] is string -%}\n        {{ m['content'] | trim }}\n    {%- elif m['content'] is iterable -%}\n        {%- for item in m['content'] -%}\n"
    "            {%- if item['type'] == 'image' -%}\n                {{ '<image>' }}\n            {%- elif item['type'] == 'text' -%}\n                {{ item['text'] | trim }}\n"
    "            {%- endif -%}\n        {%- endfor -%}\n    {%- else -%}\n        {{ raise_exception('Invalid content type') }}\n    {%- endif -%}\n    {{ '<end_of_turn>\\n' }}\n"
    "{%- endfor -%}\n{%- if add_generation_prompt -%}\n    {{'<start_of_turn>model\\n'}}\n{%- endif -%}",
    "qwen_like": "{%- if tools %}\n    {{- '<|im_start|>system\\n# Tools\\n<tools>' }}\n    {%- for t in tools %}\n        {{- '\\n' }}\n        {{- t | tojson }}\n    {%- endfor %}\n"
    "    {{- '\\n</tools><|im_end|>\\n' }}\n{%- endif %}\n{%- set ns = namespace(multi=true, last=messages|length - 1) %}\n{%- for m in messages[::-1] %}\n"
    "    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi and m.role == 'user' and not(m.content.startswith('<r>') and m.content.endswith('</r>')) %}\n"
    "        {%- set ns.multi = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n{%- for m in messages %}\n    {%- if m.role == 'assistant' %}\n"
    "        {%- set content = m.content %}\n        {%- set think = '' %}\n        {%- if m.think is defined and m.think is not none %}\n            {%- set think = m.think %}\n"
    "        {%- elif '</think>' in m.content %}\n            {%- set content = m.content.split('</think>')[-1].lstrip('\\n') %}\n"
    "            {%- set think = m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n        {%- endif %}\n"
    "        {%- if loop.index0 > ns.last and (loop.last or think) %}\n            {{- '<think>' + think.strip('\\n') + '</think>' + content }}\n        {%- else %}\n"
    "            {{- '[' + m.role + ']' + content }}\n        {%- endif %}\n        {%- for c in m.tool_calls or [] %}\n            {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{% endif %}\n"
    "            {%- if c.function %}\n                {%- set c = c.function %}\n            {%- endif %}\n            {{- '{\"name\": \"' ~ c.name ~ '\", \"arguments\": ' }}\n"
    "            {%- if c.arguments is string %}\n                {{- c.arguments }}\n            {%- else %}\n                {{- c.arguments | tojson }}\n            {%- endif %}\n            {{- '}' }}\n"
    "        {%- endfor %}\n    {%- elif m.role == 'tool' %}\n        {%- if loop.first or (messages[loop.index0 - 1].role != 'tool') %}\n            {{- '<tool>' }}\n        {%- endif %}\n        {{- m.content }}\n"
    "        {%- if loop.last or (messages[loop.index0 + 1].role != 'tool') %}\n            {{- '</tool>' }}\n        {%- endif %}\n    {%- else %}\n        {{- '[' + m.role + ']' + m.content }}\n    {%- endif %}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '[assistant]' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n        {{- '<think></think>' }}\n    {%- endif %}\n{%- endif %}",
    "phi": "{% for m in messages %}{% if m['role'] == 'system' and m['content'] %}{{'<|system|>\\n' + m['content'] + '<|end|>\\n'}}{% elif m['role'] == 'user' %}"
    "{{'<|user|>\\n' + m['content'] + '<|end|>\\n'}}{% elif m['role'] == 'assistant' %}{% generation %}{{'<|assistant|>\\n' + m['content'] + '<|end|>\\n'}}{% endgeneration %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "macro_tools": "{%- macro render(spec, depth=0) %}\n    {%- for k, v in spec|items %}\n        {%- if v is mapping %}{{ '  ' * depth ~ k ~ ':\\n' ~ render(v, depth + 1) }}\n"
    "        {%- elif v is string %}{{ '  ' * depth ~ k ~ '=' ~ v ~ '\\n' }}\n        {%- elif v is sequence %}{{ '  ' * depth ~ k ~ '=[' ~ v|join(',') ~ ']\\n' }}\n"
    "        {%- else %}{{ '  ' * depth ~ k ~ '=' ~ v|tojson ~ '\\n' }}\n        {%- endif %}\n    {%- endfor %}\n{%- endmacro %}\n"
    "{%- for t in tools or [] %}{{ render(t) }}{% endfor %}\n{%- for m in messages if m.role != 'system' %}{{ loop.index }}/{{ loop.length }} {{ m.content }}\n{% endfor %}",
}

U = {"role": "user", "content": "Hello, w\u00f6rld \u2603"}
A = {"role": "assistant", "content": "Hi \U0001f600 \"there\"\n"}
S = {"role": "system", "content": "  Be brief.\n"}
TOOLS = [{"type": "function", "function": {"name": "f", "description": "d <&> \u00e9", "parameters": {"type": "object", "properties": {"x": {"type": "integer", "enum": [1, 2.5, None, True]}}, "required": ["x"]}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1, "y": "\u00fc\n"}}}, {"name": "g", "arguments": "{\"a\": 1}"}]}
RESULTS = [{"role": "tool", "content": "7"}, {"role": "tool", "content": "8"}]
THINK = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nSo."}
PARTS = {"role": "user", "content": [{"type": "text", "text": " look "}, {"type": "image"}]}
LISTS = {
    "user": [U],
    "system": [S, U],
    "turns": [U, A, U],
    "system_turns": [S, U, A, U, A],
    "not_alternating": [U, U],
    "assistant_first": [A, U],
    "tools": [U, CALL, *RESULTS, THINK],
    "think": [U, THINK, U, THINK],
    "parts": [PARTS],
    "empty": [],
    "empty_content": [{"role": "user", "content": ""}],
    "no_content": [{"role": "user"}],
}

V = {"s": "Hello World", "u": "\u00e4\u00f6\u00fc \u00df \u00c9a \u0130 \u03a3\u03a3", "n": 7, "f": 2.5, "neg": -3, "t": True, "none": None, "l": [3, 1, 2], "w": ["b", "A", "c", "a"],
     "d": {"b": 1, "a": [1, "x"], "C": None}, "users": [{"name": "Bo", "age": 3, "tags": ["x"]}, {"name": "al", "age": 1}, {"name": "Cy", "age": 3, "x": {"y": 1}}],
     "e": "", "big": 123456789012345678901234567890, "fl": [1.0, 0.1, 1e16, 1e-5, 123456.789, 1e22, -0.0, 5e-324], "text": "a\nb\n\n  c\r\nd", "html": "<a href='x'>&\"</a>"}

EXPRESSIONS = """
s|length; u|length; l|length; d|length; s[0]; s[-1]; u[0]; u[5]; s[1:3]; s[::-1]; u[::-1]; u[1:4]; s[::2]; s[-3:]; s[:-3]; l[::-1]; l[5]; l[-1]; l[0:2]; l[9:]; s[100:]; s[3:1]; l[::-2]; s[10:2:-3]
s.upper(); s.lower(); u.upper(); u.lower(); u.title(); u.capitalize(); s.title(); 'they\\'re bill\\'s'.title(); 'they\\'re bill-x (y'|title; u|title; u|capitalize; 'ǆ ﬁ'.upper(); 'ﬁx'.title()
s.startswith('He'); s.startswith('lo', 3); s.endswith('ld'); s.endswith(('x','d')); s.startswith('e', 1, 2); s.find('o'); s.find('zz'); s.rfind('o'); u.find('ß'); s.count('l'); s.count(''); s.index('W'); s.index('zz')
s.split(); s.split('o'); s.split('o', 1); '  a  b '.split(); ' a b c '.split(none, 1); 'a,b,,c'.split(','); ''.split(','); ''.split(); s.rsplit('o', 1); text.splitlines(); text.splitlines(true); s.split('')
'  x '.strip() ~ '|'; 'xxaxx'.strip('x'); 'xyax'.lstrip('xy'); 'axyx'.rstrip('xy'); '\\u00a0a\\u2003'.strip() ~ '|'; s.replace('l', 'L'); s.replace('l', 'L', 1); 'abc'.replace('', '-'); 'abc'.replace('', '-', 2); s.removeprefix('He'); s.removesuffix('ld'); s.removeprefix('x')
'-'.join(w); '-'.join(l); ', '.join(['a']); '{} and {1}'.format(1, 2); '{} and {}'.format('a', l); '{x!r}'.format(x='q'); '{{}}'.format(); 'abc'.isalpha(); '12'.isdigit(); 'aB'.isupper(); 'ab1'.islower(); ' '.isspace(); 'a1'.isalnum()
d.get('a'); d.get('zz'); d.get('zz', 5); d.items()|list; d.keys()|list; d.values()|list; d.b; d['b']; d.items; d.zz; d.zz.y; d['zz']['y']; nope; nope.x; nope['x']; nope|length; nope ~ 'x'; nope + 'x'; nope == nope2; none.x; s.zz; n.zz; l.append(1); d.update({}); d.pop('a'); s.__class__; d.__class__ is defined; users.0.name; users[0]['name']; l.index(2); l.index(9); l.count(1)
1 + 2; 7 // 2; -7 // 2; 7 % 3; -7 % 3; 7 % -3; 7 / 2; 6 / 2; 2 ** 10; 2 ** -1; 2 ** 3 ** 2; -2 ** 2; 1.5 + 1; 7.5 // 2; -7.5 // 2; -7.5 % 2; 7.5 % -2; 1 / 0; 1 // 0; 1 % 0; 1.0 / 0; 0.1 + 0.2; 1e16; 1.0; 3 * 'ab'; 'ab' * 2; [1] * 2; [1] + [2]; (1,) + (2,); 'a' + 1; 1 + 'a'; 'a' ~ 1 ~ none ~ true ~ 1.0; true + 1; n - 1; f * 2; +n; -f; -n|abs; (-3)|abs; not n; [] + {}; 1_000; 0x1f; 0o17; 0b11; 1e3; 1.5e-7
1 < 2 < 3; 1 < 3 < 2; 1 == 1.0; 1 == true; 'a' < 'b'; 'a' < 1; [1,2] < [1,3]; [1] == [1]; (1,) == [1]; {'a': 1} == {'a': 1}; {'a': 1} == {'a': 2}; none == none; none < 1; 1 != 2; 'a' in 'abc'; 'a' not in 'abc'; 1 in l; 9 in l; 'b' in d; 1 in d; 1 in 'a'; 'x' in none; 'x' in nope; not 1 in l; 2 >= 2; 2 > 2.5; big > 1; big; -big
t and n; none and n; none or 'x'; '' or 0; 1 if t; 1 if not t; (1 if not t) is defined; 1 if none else 2; 1 if none else 2 if none else 3; t or nope.x; not t or t
l; d; [1, 'a', none, true, 1.5, [], {}, (), (1,), (1,2)]; 'it\\'s'; ["it's", 'say "x"', 'both \\' "', 'a\\nb\\t\\\\', 'é\\x00\\x7f\\u200b😀']; fl; fl|tojson; {'a': 'b', 1: 2, none: 3}; users[0]; (1, 2); (); [nope]; range(3)|list; range(5, 1, -2)|list; range(1, 4)|list; range(0)|list; range(1000000)|length; range(1.5); dict(a=1); dict({'x': 1}, y=2); dict([('a', 1)])
l is sequence; l is iterable; d is mapping; d is sequence; s is sequence; s is string; n is number; t is number; n is integer; t is integer; f is float; f is integer; t is boolean; n is boolean; t is true; t is false; none is none; nope is none; nope is undefined; nope is defined; d.zz is defined; d.b is defined; n is odd; n is even; n is divisibleby 7; n is divisibleby(3); n is eq 7; n is equalto 7; n is == 7; n is ne 8; n is gt 3; n is lt(3); n is ge 7; n is le 6; n is in l; 3 is in l; 3 is not in l; s is lower; 'abc' is lower; 'ABC' is upper; l is sameas l; n is not defined; n is defined and t; not n is defined; none is sameas none; nope is sequence; nope is iterable; nope is string; n is iterable; range is callable; s is callable; l|map('string') is sequence; 'upper' is filter; 'zz' is filter; 'odd' is test; n is nosuch
s|upper; s|lower; s|trim; '  x '|trim ~ '|'; 'xxa'|trim('x'); s|replace('l', 'L'); s|replace('l', 'L', 1); 123|replace(2, 'x'); w|join; w|join(', '); l|join('-'); users|join(', ', attribute='name'); s|join('.'); d|join(','); nope|join; n|join
nope|default('x'); nope|default; none|default('x'); none|default('x', true); e|default('x'); e|default('x', boolean=true); d.zz|default('y'); nope|d('z'); 5|default(6)
l|first; l|last; []|first; []|last; s|first; s|last; u|last; d|first; l|list; s|list; d|list; d|items|list; nope|items|list; s|items|list; l|reverse|list; s|reverse; l|length; n|length; none|length; l|map('string')|length; l|map('string')|first; (l|map('string'))|list; l|map('string')|last
l|sort; l|sort(reverse=true); w|sort; w|sort(case_sensitive=true); w|sort(true); users|sort(attribute='name')|map(attribute='name')|list; users|sort(attribute='age,name')|map(attribute='name')|list; users|sort(attribute='age', reverse=true)|map(attribute='name')|list; [1,'a']|sort; d|dictsort; d|dictsort(true); {'a': 2, 'b': 1}|dictsort(by='value'); {'a': 2, 'b': 1}|dictsort(false, 'value', true); [1,2,1,3]|unique|list; ['a','A','b']|unique|list; ['a','A']|unique(true)|list; users|unique(attribute='age')|map(attribute='name')|list; l|min; l|max; w|min; []|max; users|max(attribute='age'); l|sum; users|sum(attribute='age'); l|sum(start=10); ['a']|sum
users|map(attribute='name')|list; users|map(attribute='x.y')|list; users|map(attribute='zz', default='-')|list; users|map(attribute='tags.0', default='-')|list; w|map('upper')|join; l|map('string')|list; ['a b']|map('replace', ' ', '_')|list; [1]|map('nosuch')|list; [1]|map|list; l|select|list; [0,1]|select|list; l|select('gt', 1)|list; l|reject('odd')|list; [0,1]|reject|list; users|selectattr('age', 'equalto', 3)|map(attribute='name')|list; users|selectattr('tags')|list|length; users|selectattr('tags', 'defined')|list|length; users|rejectattr('age', 'in', [1])|list|length; users|selectattr('x.y', 'eq', 1)|list; users|selectattr|list; l|select('nosuch')|list; l|select('gt', 100); (l|select('gt', 100)) is sequence; nope|select|list; (1 if l|select('gt', 100) else 2); users|map(attribute='age')|select('odd')|sum
'12'|int; '12.7'|int; 'x'|int; 'x'|int(5); ' 42 '|int; '1_0'|int; '0x1f'|int(0, 16); '1f'|int(base=16); 3.9|int; -3.9|int; none|int; true|int; nope|int; 'inf'|int; '12'|float; 'x'|float; 'x'|float(1.5); none|float; 3|float; ' 1e3 '|float; 'nan'|float; 2.5|round; 3.5|round; 2.567|round(2); 2.567|round(1, 'floor'); 2.51|round(1, 'ceil'); 25|round; 25|round(-1); 35|round(-1); 1234.5|round(-2); 2.5|round|int; 'a'|round; 1|round(method='ceil'); 0.5|round; 1.005|round(2); (-5)|abs; 1.5|abs; 'a'|abs
s|tojson; u|tojson; d|tojson; l|tojson; d|tojson(indent=2); users|tojson(indent=4); []|tojson(indent=2); {}|tojson(indent=2); {'a': []}|tojson(indent=1); d|tojson(sort_keys=true); {'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(sort_keys=true); d|tojson(separators=(',', ':')); u|tojson(ensure_ascii=true); '😀\\x01\\x7f"\\\\/\\b'|tojson; '😀\\x7f'|tojson(true); none|tojson; true|tojson; 1.0|tojson; big|tojson; {1: 1, true: 2, none: 3, 1.5: 4}|tojson; nope|tojson; html|tojson; (1, 2)|tojson; l|map('string')|tojson; d|tojson(indent='--'); d|tojson(indent=0); {(1, 2): 3}|tojson; d.items|tojson
text|indent; text|indent(2); text|indent(2, true); text|indent(2, blank=true); text|indent('> ', true, true); ''|indent(2, true) ~ '|'; 'a\\n'|indent ~ '|'; 'a\\r\\nb\\r'|indent(1) ~ '|'; n|indent; s|wordcount; 'a-b c_d'|wordcount; html|e; html|escape; s|safe; l|string; n|string; none|string; '%s-%d'|format('a', 3); '%5.2f|%-5s|%05d|%x|%%'|format(3.14159, 'ab', 42, 255); '%s' % 'a'; '%s %s' % ('a', 1); '%d' % 'a'; '%s' % l; '%s %s' % 'a'; 'a' % 'b'; '%r' % 'q'; '%(a)s' % {'a': 1}; '%+d % d' % (1, 2); '%.2s|' % 'abc'; '%#x' % 255; '%c' % 'x' if false else 1; d|attr('b'); d|attr('items')|string|length > 0
'a' 'b' "c"; 'tab\\tnl\\nq\\'\\\\ \\x41 \\u00e9 \\101 \\q'; "double 'single'"; [1, 2,]; {'a': 1,}; (1, 2,); {}['x']; {'a': {'b': {'c': 1}}}.a.b.c; {'x': 1}['x'] + 1; [[1, 2], [3]][0][1]; 'abc'[1]; (l)[0]; l[n - 6]; d['a'][1]; {'a': 1}.items()|list; {true: 'x'}[1]; {1: 'a'}[1.0]; {[]: 1}; l['0'] is defined; s['upper']() ; d[none] is defined; true; True; None; false; none; foo(1); s(); l(); ''; u[100] is defined; l[1.0] is defined; l[true]; l.0; range(3)[1]
s is string and not s is number or false; 1 + 2 * 3 - 4 / 2; (1 + 2) * 3; 2 * 'a' ~ 'b' * 2; 1 ~ 2 + 3; not true == false; 'a' in 'abc' and 'b' not in 'xyz'; -1|abs; 5 - -5; 1 if 0 else 2 if 0 else 3; [1, 2, 3][1:][0]; s.upper().lower()|title|length; d.a|join('+')|upper; {'a': 1}.get('b', {}).get('c', 'deep'); (l|sort)[0]; l|sort|first; (s, n)|join(':')
().copy(); l.copy(); l[]; 'a' % []; 'a' % nope; 'a' % none; nope is callable; f[::2]; d[1:]; nope[1:]; l|unique|reverse; {1: 2}.get(l|map('string')); [l|map('string')]|length; big + 0 if false else big; -big; d[l] is defined
s|center(20) ~ '|'; s|center(21) ~ '|'; 'ab'|center(5) ~ '|'; 'abc'|center(6) ~ '|'; 'abc'|center(3); 'abc'|center(-1); s|center|length; n|center(5) ~ '|'; u|center(width=30) ~ '|'; s|center('x'); s|center(none); s|center(true); s|center(2.0); nope|center(3) ~ '|'
l|batch(2)|list; w|batch(2, '-')|list; l|batch(5, 0)|list; l|batch(0)|list; l|batch(-1)|list; l|batch(1)|list; []|batch(2, 1)|list; s|batch(4)|list; l|batch('x')|list; l|batch(2.0)|list; l|batch(2.0, 1)|list; l|batch(2, none)|list; l|batch|list; n|batch(2)|list; range(7)|batch(3, 'x')|map('join')|list; l|batch(linecount=2, fill_with='z')|list
l|slice(2)|list; l|slice(2, 'x')|list; l|slice(3, 'x')|list; l|slice(5)|list; l|slice(5, 0)|list; l|slice(0)|list; l|slice(-2)|list; []|slice(2)|list; s|slice(3)|list; range(10)|slice(4, '-')|list; l|slice(true)|list; l|slice(2.0)|list; l|slice|list; n|slice(2)|list
users|groupby('age'); users|groupby('age')|map('first')|list; users|groupby('age')|map(attribute='list')|map('length')|list; users|groupby('age')|map(attribute='grouper')|list; (users|groupby('age'))[0].grouper; (users|groupby('age'))[1].list[0].name; (users|groupby('age'))[1]['list']|length; (users|groupby('age'))[0].zz is defined; users|groupby('zz'); users|groupby('zz', default='q')|map('first')|list; users|groupby('x.y', 0)|map('first')|list; w|groupby(0); w|groupby(0, case_sensitive=true)|map('first')|list; ['a','A','b']|groupby(0); users|groupby; [{'k': 'B'}, {'k': 'b'}, {'k': 'a'}]|groupby('k'); [{'k': 'B'}, {'k': 'b'}]|groupby('k', case_sensitive=true); users|groupby('age')|tojson
s|truncate(5); s|truncate(8); s|truncate(6, true); s|truncate(5, leeway=0); s|truncate(9, leeway=0); s|truncate(9, true, '!', 0); s|truncate(9, false, '', 0); s|truncate(2); s|truncate(3, leeway=0); s|truncate(4, leeway=-1); (s * 40)|truncate; (s * 40)|truncate|length; u|truncate(4, true, '…', 0); u|truncate(5, false, '…', 0); l|truncate; n|truncate; (l * 200)|truncate(4, leeway=0); s|truncate('x'); nope|truncate; 'foo bar baz qux'|truncate(9); 'foo bar baz qux'|truncate(9, true); 'foo bar baz qux'|truncate(11); 'foo bar baz qux'|truncate(11, false, '...', 0)
1|filesizeformat; 0|filesizeformat; 999|filesizeformat; 1000|filesizeformat; 1023|filesizeformat(true); 1024|filesizeformat(true); 1500000|filesizeformat; 1500000|filesizeformat(binary=true); 123456789012|filesizeformat; 1e15|filesizeformat; 1e18|filesizeformat; 1e21|filesizeformat; 1e24|filesizeformat; 1e25|filesizeformat(true); 1e27|filesizeformat; 3e30|filesizeformat; 3e30|filesizeformat(true); -5|filesizeformat; -5.7|filesizeformat; -0.5|filesizeformat; 0.5|filesizeformat; true|filesizeformat; none|filesizeformat; l|filesizeformat; -1e6|filesizeformat; 1.0|filesizeformat; 999.99|filesizeformat; 999999|filesizeformat; 9223372036854775807|filesizeformat
s|urlencode; u|urlencode; 'a/b?c=d&e f~_-.'|urlencode; {'a b': 'c/d', 'x': 1, 'é': none}|urlencode; [('a', 1), ('b c', 'd e')]|urlencode; n|urlencode; none|urlencode; f|urlencode; []|urlencode ~ '|'; ['ab']|urlencode; ['abc']|urlencode; l|urlencode; nope|urlencode ~ '|'; html|urlencode; '\\x00\\x7f'|urlencode
'wordwrap' is filter; 'center' is filter; 'frob' is filter; 'center' is test
raise_exception('no'); raise_exception(s ~ n); namespace(a=1).a; namespace({'a': 2}).a; namespace(a=1)['a']; namespace(_x=1); namespace().zz is defined; nope(); d.nope(); s|nosuch; s.upper(1); s.split(sep='o'); d.get(); s.replace('a'); s|replace; l|join(1, 2, 3); range(); s|default(zz=1)
"""

STATEMENTS = [
    "{% for i in l %}{{ i }},{% endfor %}", "{% for i in [] %}x{% else %}none{% endfor %}", "{% for i in l if i > 1 %}{{ loop.index }}:{{ i }} {% else %}none{% endfor %}", "{% for i in l if i > 10 %}x{% else %}none{% endfor %}",
    "{% for i in l %}{{ loop.index }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.length }} {{ loop.depth }} {{ loop.depth0 }}\n{% endfor %}",
    "{% for i in l %}{{ loop.previtem|default('-') }}<{{ i }}>{{ loop.nextitem|default('-') }} {% endfor %}", "{% for i in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in [1,1,2] %}{{ loop.changed(i) }}{% endfor %}",
    "{% for a in l %}{% for b in l %}{{ loop.depth }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}{{ loop.length }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for c in u %}[{{ c }}]{% endfor %}", "{% for a, b in l %}x{% endfor %}", "{% for i in n %}x{% endfor %}", "{% for i in none %}x{% endfor %}", "{% for i in nope %}x{% else %}e{% endfor %}", "{% for i in nope.x %}x{% endfor %}",
    "{% for (a, b) in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in l %}{% for j in l %}{% if j == 1 %}{% break %}{% endif %}{{ j }}{% endfor %}|{% endfor %}", "{% break %}", "{% for i in l %}{% endfor %}{% continue %}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}", "{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}", "{% if t %}{% set y = 2 %}{% endif %}{{ y }}",
    "{% for i in [1,2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1] %}", "{% set x = 1, 2 %}{{ x }}", "{% set x %}a{{ n }}b{% endset %}{{ x }}|{{ x|length }}", "{% set x | upper | trim %} abc {% endset %}{{ x }}",
    "{% set d.x = 1 %}", "{% set ns = namespace() %}{% set ns._x = 1 %}", "{% set ns = namespace() %}{% set ns.y %}hi{% endset %}{{ ns.y }}", "{% set true = 1 %}", "{% set x = 1 %}{% set x = x + 1 %}{{ x }}",
    "{% for i in l %}{{ i }}{% endfor %}{{ i }}", "{% for i in l %}{% set z = i %}{% endfor %}{{ z is defined }}", "{% for loop in l %}{{ loop is defined }}{% endfor %}",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if none %}a{% elif n > 3 %}b{% elif nope.x %}z{% else %}c{% endif %}", "{% if none %}a{% endif %}b", "{% if nope %}a{% else %}b{% endif %}", "{% if nope.x %}a{% endif %}", "{% if false %}{{ s|nosuch }}{% endif %}ok", "{% if true %}{{ s|nosuch }}{% endif %}ok", "{{ s|nosuch }}", "{% if s is nosuch %}{% endif %}",
    "{% macro m(a, b=2) %}{{ a }}-{{ b }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}", "{% macro m() %}{{ s }}{{ x }}{% endmacro %}{% set x = 3 %}{{ m() }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}", "{% macro m() %} x {% endmacro %}{{ m()|trim }}|{{ m.name }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body{{ n }}{% endcall %}", "{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b) m() %}{{ a + b }}{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}b{% endcall %}", "{% macro m() %}{{ caller is defined }}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m(a, b=1, c) %}{% endmacro %}",
    "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m() %}{% for i in l %}{{ loop.index }}{% endfor %}{% endmacro %}{% for i in l %}{{ m() }}{{ loop.index }}{% endfor %}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}b{% endmacro %}{{ a() }}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}", "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}", "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}abc{% endfilter %}", "{% print n, 1 %}", "{{ 1, 2 }}",
    "{% generation %}a{{ n }}{% endgeneration %}", "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q is defined }}", "  {% generation %}  \n x\n  {% endgeneration %}\ny", "{% for i in l %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% raw %}{{ x }}{% if %}{% endraw %}|", "a {%- raw -%} b {%- endraw -%} c", "{% raw %}\n a\n{% endraw %}\n b", "  {% raw %} a {% endraw %}  ", "x{# c #}y", "x {#- c -#} y", "a\n  {# c #}\nb", "a\n  {# c #} \nb", "{# {% if %} #}x", "{#-#}x", "a {#+ c +#}\n b",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc", "a\n  {%- if t -%}\n  b\n  {%- endif -%}\nc", "a\n  {%+ if t %}\n  b\n  {%+ endif %}\nc", "a {% if t +%}\nb{% endif +%}\nc", "a\n  {{ n }}\n  {{- n -}}\n  b", "a  {%- if t %} b{% endif %}\n", "\n\n{% if t %}\n\nx\n\n{% endif %}\n\n", "x\n", "x\n\n", "\n", "", "a\r\nb\r{% if t %}\r\nc{% endif %}\r\n",
    "  {% if t %}x{% endif %}", "\t{% if t %}x{% endif %}", "q  {% if t %}x{% endif %}", "{% if t %}  {% if t %}x{% endif %}{% endif %}", "{% if t %}\n  {% if t %}x{% endif %}\n{% endif %}", "{{ n }}  {% if t %}x{% endif %}", "{{ n }}\n  {% if t %}x{% endif %}", "\u00a0{%- if t %}x{% endif %}", "a\u2003{{- n }}", "{{ n -}}\u00a0b", "{{ '}}' }}{{ {'a': {'b': 1}} }}", "{{ {'a':{}}}}", "{{ '{% x %}' }}", "{{ \"a\nb\" }}", "{ { n } } {{n}} {%if t%}y{%endif%} }} %}", "{{-n-}} x", "{{ -n }}", "{{- -n -}}",
    "{% if t -%}\n   {% if t %}\nx{% endif %}{% endif %}", "a\n{%- set x = 1 %}\nb", "a\n{% set x = 1 -%}\n\n  b", "{% for i in l -%}\n  {{ i }}\n{%- endfor %}", "line\n  {{ n }}  \n{% if t %} {% endif %} z", "{%- for i in l %}\n- {{ i }}\n{%- endfor %}\n", "{{ s }}{{ '' }}\n{{ n }}\n",
    "{% if t %}", "{% endif %}", "{% for i in l %}", "{% for i l %}{% endfor %}", "{% for in l %}{% endfor %}", "{{", "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ 1) }}", "{{ [1, 2 }}", "{{ 'abc }}", "{% if %}x{% endif %}", "{% set %}", "{% set x %}", "{% nosuch %}", "{# x", "{% raw %}x", "{{ a b }}", "{{ a. }}", "{{ a.'x' }}", "{{ | upper }}", "{{ a | }}", "{{ a is }}", "{% else %}", "{% if t %}{% else %}{% else %}{% endif %}", "{% macro %}{% endmacro %}", "{% macro m(1) %}{% endmacro %}", "{% call 1 %}{% endcall %}", "{{ f(a=1, 2) }}", "{{ f(**a, *b) }}", "{{ 1 is odd is even }}", "{{ {1, 2} }}", "{{ a ? b }}", "{{ a = 1 }}", "{{ a ! b }}", "{% do l.append(1) %}", "{{ 'a' if }}", "{% for a.b in l %}{% endfor %}", "{{ 01 }}", "{{ a[] }}", "{{ a[1 }}", "{{ not }}", "{{ {'a' 1} }}", "{% for i in l %}{% endif %}", "x\n\n{% if t %}\n{{ oops oops }}{% endif %}", "{{ $ }}", "{{ a\\b }}",
    "{{ l|map('upper')|list }}{{ 1 }}", "{% set it = l|map('string') %}{{ it|list }}{{ it|list }}", "{% set it = w|select %}{{ it|first }}{{ it|list }}", "{% for i in l|map('string') %}{{ loop.length }}{{ i }}{% endfor %}", "{% for i in l|reverse %}{{ i }}{% endfor %}", "{% for i in d.values() %}{{ i }};{% endfor %}", "{% for a in users|map(attribute='name') %}{{ a }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{{ [1,2,3] | select('odd') | map('string') | join('-') }}", "{% set args = [1, 2] %}{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*args) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(*[1], **{'b': 9}) }}", "{{ dict(**{'a': 1}) }}", "{% set x = namespace(l=[]) %}{% for i in l %}{% set x.l = x.l + [i * 2] %}{% endfor %}{{ x.l }}", "{{ 'x' ~ namespace(a=1).a }}", "{% set messages = l[1:] %}{{ messages }}", "{{ users | groupby('age') }}" if False else "{{ l | length > 2 and 'many' or 'few' }}",
]


def run(env, template, variables):
    try:
        compiled = env.from_string(template)
    except Exception:
        return {"error": "compile"}
    try:
        return {"text": compiled.render(**variables)}
    except Exception:
        return {"error": "render"}


def cases():
    env = environment()
    out = []

    def add(template, variables, shared):
        case = {"template": template, **({"vars": variables} if not shared else {})}
        case.update(run(env, template, variables))
        if "0x" in case.get("text", "") and " at 0x" in case["text"]:  # an address: nothing to compare
            return
        out.append(case)

    for line in EXPRESSIONS.strip().split("\n"):
        for expression in line.split("; "):
            add("{{ " + expression.rstrip(";").replace("\\\\", "\\") + " }}", V, True)
    for template in STATEMENTS:
        add(template, V, True)
    chats = []
    for name, template in CHAT.items():
        for list_name, messages in LISTS.items():
            for extra in ({"add_generation_prompt": True}, {"add_generation_prompt": False, "enable_thinking": False, "tools": TOOLS}):
                if "tools" not in extra and list_name == "tools":
                    extra = {**extra, "tools": TOOLS, "enable_thinking": False}
                variables = {"messages": messages, "tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", **extra}
                result = run(env, template, variables)
                chats.append({"template": name, "messages": list_name, "extra": extra, **result})
    return {"jinja2": jinja2.__version__, "vars": V, "cases": out, "templates": CHAT, "lists": LISTS, "chats": chats}


def main():
    text = json.dumps(cases(), ensure_ascii=False, indent=0, sort_keys=False) + "\n"
    if "--check" in sys.argv:
        with open(OUT, encoding="utf-8", newline="") as f:
            same = f.read() == text
        print("the same" if same else "cases.json differs", file=sys.stderr)
        sys.exit(0 if same else 1)
    with open(OUT, "w", encoding="utf-8", newline="") as f:
        f.write(text)


if __name__ == "__main__":
    main()
