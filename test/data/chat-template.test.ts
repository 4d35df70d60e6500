import { expect } from 'chai';
import { ChatTemplate, type Message } from '../../src/data/chat-template.ts';
import { pythonStrip } from '../../src/data/python-text.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import fixture from '../fixtures/templates.json' with { type: 'json' };
import { expectRefused, failureOf } from '../io/refused.ts';

const SPECIAL = { bos_token: '<s>', eos_token: '</s>' };
const user = { role: 'user', content: 'hi' };
const render = (source: string, messages: readonly Message[] = [user]) =>
  new ChatTemplate(source, 'tiny', SPECIAL).render(messages, { addGenerationPrompt: false });
const rendered: Record<string, (string | null)[][]> = fixture.rendered;

describe('data/chat-template', () => {
  for (const [name, source] of Object.entries(fixture.templates)) {
    it(`renders 50 conversations as transformers does: ${name}`, async () => {
      const files = memoryFiles({ ...fixture.files, 'chat_template.jinja': source }, name);
      const tokenizer = await Tokenizer.fromFiles(files);
      for (const [i, messages] of fixture.conversations.entries()) {
        for (const [ask, expected] of (rendered[name]?.[i] ?? []).entries()) {
          const apply = () => tokenizer.applyChatTemplate(messages, { addGenerationPrompt: ask === 1 });
          if (expected === null) await expectRefused(apply, name, 'cannot render these messages');
          else expect(apply(), `conversation ${i}`).to.equal(expected);
        }
      }
    });
  }

  it('passes the same inputs to templates as transformers', () => {
    const source = '{% for name, value in messages[0].items() %}{{ name }}={{ value }};{% endfor %}';
    expect(render(source, [{ ...user, tool_calls: null, n: 1 }])).to.equal('role=user;content=hi;n=1;');
    expect(render('{{ messages[0].reasoning_content }}', [{ ...user, reasoning: 'r' }])).to.equal('r');
    expect(render('{{ tools is none }} {{ documents is none }} {{ bos_token }}')).to.equal('True True <s>');
  });

  it('writes dates in English', () => {
    expect(render("{{ strftime_now('%d %b %Y, %A %H:%M') }}")).to.match(
      /^\d\d [A-Z][a-z]{2} \d{4}, [A-Z][a-z]+day \d\d:\d\d$/,
    );
  });

  it('strips and compares like Python', () => {
    expect(pythonStrip('\ufeff a\x85', 'both')).to.equal('\ufeff a');
    expect(pythonStrip('  a  ', 'start')).to.equal('a  ');
    expect(pythonStrip('xaxbx', 'end', 'bx')).to.equal('xa');
    expect(render("{{ '\n\n  a \n'.strip('\n') }}|{{ ' a '.rstrip() }}|{{ ' a ' | trim }}")).to.equal(
      '  a | a|a',
    );
    const cases = {
      "' ' == false": false,
      "'1' == 1": false,
      '1 == true': true,
      '[1, [2]] == [1, [2]]': true,
      'none == x': false,
      "{'a': 1} != {'a': 2}": true,
    };
    for (const [test, expected] of Object.entries(cases)) {
      expect(render(`{{ ${test} }}`), test).to.equal(expected ? 'True' : 'False');
    }
  });

  it('distinguishes errors of a template from unsupported features', async () => {
    await expectRefused(
      () => render("{{ raise_exception('no ' + messages[0].role) }}"),
      'tiny',
      'no user',
      'Check the roles',
    );
    await expectRefused(
      () => render('{{ messages | xmlattr }}'),
      'tiny',
      'xmlattr',
      'unsupported features of Jinja',
    );
    for (const source of ['{{ dict(a=1) }}', '{{ messages.dict() }}'])
      await expectRefused(
        () => render(source),
        'the function "dict" is not supported',
        'unsupported features',
      );
    await expectRefused(
      () => render('{{ messages[0].content }}', []),
      'tiny',
      'the list of messages is empty',
    );
    for (const source of ['{% for', '{{ (1 + }}', `{{ ${'('.repeat(1e5)} }}`]) {
      await expectRefused(() => render(source), 'tiny', 'the chat template cannot be read');
    }
  });

  describe('with generation markers', () => {
    const marked = (source: string, messages: readonly Message[] = [user]) => {
      const template = new ChatTemplate(source, 'tiny', SPECIAL);
      const { text, spans } = template.renderMarked(messages, { addGenerationPrompt: false });
      expect(text).to.equal(template.render(messages, { addGenerationPrompt: false }));
      return spans.map(([start, end]) => text.slice(start, end));
    };

    it('finds their text, in loops and after other text', () => {
      const turns = ['a', 'b', 'c'].map((content) => ({ role: 'assistant', content }));
      const each =
        '{% for m in messages %}<{% generation %}{{ m.content }}{% set m = 1 %}!{%- endgeneration -%} >';
      expect(marked(`x${each}{% endfor %}{% generation %}{% endgeneration %}`, turns)).to.deep.equal([
        ...['a!', 'b!', 'c!'],
        '',
      ]);
      expect(marked(`${each}{% if loop.last %}{% break %}{% endif %}{% else %}y{% endfor %}`)).to.deep.equal([
        'hi!',
      ]);
      expect(
        marked("{% set generation = 'z' %}{{ generation }}{% generation %}x{% endgeneration %}"),
      ).to.deep.equal(['x']);
    });

    it('rejects blocks whose text may be changed, missing blocks, and unclosed ones', async () => {
      const block = '{% generation %}x{% endgeneration %}';
      const held = [
        `{% macro f() %}${block}{% endmacro %}{{ f() }}`,
        `{% set y %}${block}{% endset %}{{ y }}`,
        `{% filter upper %}${block}{% endfilter %}`,
        `{% generation %}${block}{% endgeneration %}`,
      ];
      for (const source of held)
        await expectRefused(() => marked(source), 'tiny', 'in a macro', 'Put it around');
      await expectRefused(
        () => marked('{{ messages }}'),
        'tiny',
        'no {% generation %}',
        'chat_template.jinja',
      );
      for (const source of ['{% generation %}x{% endcall %}', '{% endgeneration %}', '{% generation %}']) {
        await expectRefused(() => marked(source), 'tiny', 'the chat template cannot be read');
      }
    });
  });

  describe('of a malicious file', () => {
    const loop = (body: string, times = 10 ** 5) => `{% for i in range(${times}) %}${body}{% endfor %}`;
    const grow = (start: string, step: string, times = 64) =>
      `{% set ns = namespace(x=${start}) %}${loop(`{% set ns.x = ${step} %}`, times)}`;
    const long = "{% set a = 'a' * 4 * 10 ** 6 %}";
    const CASES: Record<string, [source: string, message: string]> = {
      'that never ends': [loop(loop(loop('x'))), 'steps'],
      'of endless calls': ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'render these messages'],
      'that doubles a text': [grow("'xy'", 'ns.x + ns.x'), 'characters'],
      'that doubles a list': [grow('[1]', 'ns.x + ns.x'), 'steps'],
      'that counts too far': ['{{ range(1000000000000) }}', 'range()'],
      'that prints lists that contain each other': [
        '{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}',
        'steps',
      ],
      'that compares them': [
        '{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}',
        'steps',
      ],
      'that repeats a text very often': ["{{ 'x' * 10 ** 9 }}", 'characters'],
      'that changes a long text repeatedly': [
        `${grow("'xy'", 'ns.x + ns.x', 20)}${loop('{% set y = ns.x | upper %}')}`,
        'steps',
      ],
      'that splits it': [
        `${grow("' x'", 'ns.x + ns.x', 20)}${loop("{% set y = ns.x.split(' ') %}")}`,
        'steps',
      ],
      // A search in the engine takes time proportional to the product of the two lengths.
      'that searches a long text in a long one': [
        `${long}{% set y = ('a' * 10 ** 6 ~ 'b' ~ 'a' * 10 ** 6) in a %}{% set z = a.split(a[9:] ~ 'b') %}`,
        'steps',
      ],
      'that strips many characters': [
        loop("{% set y = ('b' * 10 ** 6).strip('a' * 10 ** 6 ~ 'b') %}"),
        'steps',
      ],
      'that changes the first letters of words': [`${long}${loop('{% set y = a | title %}')}`, 'steps'],
      'that sorts long texts': [`${long}{% set y = ([a, a ~ 'b', a ~ 'c'] * 1000) | sort %}`, 'steps'],
      'that indexes a long text': [`${long}${loop('{% set y = a[3999990] %}')}`, 'steps'],
      'that reads a number out of it': [
        "{{ ('1' * 10 ** 6 ~ 'x') | float }}{{ ('1' * 10 ** 6) | int }}",
        'digits',
      ],
      'that repeats nothing': [
        '{% set y = [] * 10 ** 9 %}{% set z = "" * 10 ** 18 %}{{ 1 / 0 }}',
        'division',
      ],
      'that works with long numbers': [
        `{% set n = 7 ** 4900 %}${loop('{% set y = n + n %}{% set z = n | string %}')}`,
        'steps',
      ],
      'that tests whether a long text is lower case': [
        `${grow("'xy'", 'ns.x + ns.x', 20)}${loop('{% if ns.x is lower %}{% endif %}')}`,
        'steps',
      ],
      'that asks it of a list': [
        `${grow("'xy'", 'ns.x + ns.x', 20)}{{ ([ns.x] * 10000) | select('upper') | list | length }}`,
        'steps',
      ],
      'that passes a long list as arguments': [
        `{% set r = range(100000) | list %}${loop("{% set y = 'a' | upper(*r) %}")}`,
        'steps',
      ],
      'that passes a large dict as arguments': [
        `{% set d = messages[0] %}${loop("{% set y = 'a' | upper(**d) %}")}`,
        'steps',
      ],
      'that formats dates': [loop("{% set y = strftime_now('%B' * 100) %}"), 'steps'],
      'that writes letters beyond ASCII as JSON': [
        "{% set y = ('\u00e9' * 10 ** 7) | tojson(ensure_ascii=true) %}",
        'steps',
      ],
      'that searches in it': [
        `${grow("'xy'", 'ns.x + ns.x', 20)}${loop("{% set y = 'z' in ns.x %}")}`,
        'steps',
      ],
      'that compares long lists': [
        `${grow('[1]', 'ns.x + ns.x', 16)}${loop('{% set y = ns.x == ns.x %}')}`,
        'steps',
      ],
      'that indents without limit': ['{{ [1] | tojson(indent=10 ** 9) }}', 'characters'],
      'that computes a huge power': ['{{ 9 ** 99999 }}', 'bits'],
      'that sorts repeatedly': [loop('{{ range(100000) | list | sort | length }}'), 'steps'],
      'that counts in steps of 0': ['{{ range(1, 2, 0) }}', 'range()'],
      'that accesses properties of JavaScript objects': [
        "{{ messages.constructor.constructor('return 1')() }}",
        'of an undefined value',
      ],
    };
    for (const [name, [source, message]] of Object.entries(CASES)) {
      it(name, () => expectRefused(() => render(source), 'tiny', message));
    }

    it('with much white space', () => {
      const space = ' '.repeat(65_000);
      expect(render(`${space}{%- if true %}a{% endif %}`)).to.equal('a');
      expect(render(`{{ 'a'${space}}}`)).to.equal('a');
      expect(render(`{{ '${space}' }}`)).to.equal(space);
    });

    it('with unclosed quotes, endless numbers or comparisons', async () => {
      await expectRefused(() => render(`{{ '${"\\'".repeat(30_000)}`), 'tiny', 'a string is not closed');
      await expectRefused(
        () => render(`{{ 1${' < 1'.repeat(20_000)} }}`),
        'tiny',
        'more than 65536 characters',
      );
      expect(render(`{{ 1${' < 1'.repeat(15_000)} }}`)).to.equal('False');
    });

    it('and finds the features that it supports', () => {
      const found = "{{ a in b }} {{ (b ~ 'c' ~ b) | replace(b, 'x') }} {{ (a ~ b).split(b) | length }}";
      const texts = "{% set a = 'ab' * 40 %}{% set b = 'ab' * 41 %}";
      expect(render(texts + found)).to.equal('True xcx 2');
      expect(render("{{ 'héé😀x'[-2] }}{{ '😀x'[0] }}{{ 'ab'[2] }}{{ 'éaé'.strip('é') }}")).to.equal('😀😀a');
    });

    it('with messages nested deeply', async () => {
      let deep: unknown = 1;
      for (let i = 0; i < 1e5; i++) deep = [deep];
      const failure = await failureOf(() => render('{{ messages | tojson }}', [{ ...user, deep }]));
      expect(String(failure)).to.include('cannot render these messages');
    });
  });
});
