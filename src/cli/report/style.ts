/**
 * The look of a report: a calm page, blue for what was trained, orange for held-out data, gray for the state
 * before. Each color is defined once for light and once for dark mode, and the charts use the same names.
 */
export const STYLE = `
:root {
  --paper: #f6f5f1; --card: #fffefc; --ink: #1b1c22; --muted: #62636d; --line: #e3e1d9; --grid: #eceae3;
  --train: #3a5bd0; --train-faint: #b9c5ef; --train-wash: #eef1fc; --held: #c2571a; --before: #b3b2aa;
  --glad: #17714a; --glad-wash: #dff2e6; --sad: #ab2f4b; --sad-wash: #fae3e7;
  --shadow: 0 1px 2px rgb(40 36 20 / 5%), 0 6px 20px rgb(40 36 20 / 4%);
  --serif: ui-serif, "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, serif;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121318; --card: #1a1c23; --ink: #ececf0; --muted: #a2a4b0; --line: #2c2f39; --grid: #272a33;
    --train: #8ea6ff; --train-faint: #46548c; --train-wash: #1f2540; --held: #f5a164; --before: #666974;
    --glad: #74d3a0; --glad-wash: #173527; --sad: #f58ea3; --sad-wash: #40202a; --shadow: none;
  }
}
*, *::before, *::after { box-sizing: border-box; }
body {
  margin: 0 auto; padding: clamp(24px, 5vw, 64px) clamp(16px, 4vw, 48px) 48px; max-width: 1180px;
  background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; -webkit-text-size-adjust: 100%;
}
h1, h2, h3, p, dl, dd, ul, figure { margin: 0; padding: 0; }
h1 { font: 600 clamp(2rem, 1.4rem + 2.6vw, 3.1rem)/1.1 var(--serif); letter-spacing: -0.015em; text-wrap: balance; }
h2 { font: 600 1.45rem/1.25 var(--serif); letter-spacing: -0.01em; }
section { margin-top: clamp(40px, 6vw, 64px); }
section > p { max-width: 68ch; margin-top: 6px; color: var(--muted); }
.lead { margin-top: 14px; max-width: 62ch; font-size: 1.1rem; color: var(--muted); text-wrap: pretty; }
.lead strong { color: var(--ink); font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 16px; box-shadow: var(--shadow); padding: clamp(16px, 2vw, 24px); min-width: 0; }
.grid { display: grid; gap: clamp(12px, 1.6vw, 20px); margin-top: 20px; }

.heads { grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr)); margin-top: clamp(24px, 4vw, 40px); }
.heads .card { display: flex; flex-direction: column; }
.heads dt { font-size: .86rem; font-weight: 600; color: var(--muted); }
.heads .figure { margin-top: 6px; font: 600 2.1rem/1.15 var(--serif); letter-spacing: -0.02em; font-variant-numeric: tabular-nums lining-nums; white-space: nowrap; }
.heads .figure small { font: inherit; font-size: 1.3rem; color: var(--muted); }
.heads .figure em { font-style: normal; color: var(--train); }
.heads .figure span { font: 500 1rem system-ui, sans-serif; letter-spacing: 0; color: var(--muted); }
.heads .note { margin-top: 4px; font-size: .9rem; color: var(--muted); }

.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 10px; margin-bottom: 10px; }
figcaption strong { font-weight: 650; }
figcaption small { font-size: .86rem; color: var(--muted); }
figcaption .now { margin-left: auto; font-size: .86rem; font-variant-numeric: tabular-nums; color: var(--muted); }
.plot { min-height: 150px; }
.keys { display: flex; flex-wrap: wrap; gap: 6px 20px; margin-top: 14px; padding: 0; list-style: none; font-size: .88rem; color: var(--muted); }
.keys li { display: flex; align-items: center; gap: 8px; }
.keys i { width: 18px; height: 3px; border-radius: 2px; background: var(--color); }
.keys i.dot { width: 10px; height: 10px; border-radius: 50%; }
.keys i.box { width: 12px; height: 12px; border-radius: 3px; }

.story { display: grid; grid-template-columns: 1fr 1fr; gap: 12px clamp(16px, 3vw, 36px); }
.story h3 { grid-column: 1 / -1; font: italic 500 1.12rem/1.4 var(--serif); overflow-wrap: anywhere; }
.side { border-top: 2px solid var(--before); padding-top: 10px; min-width: 0; }
.side.after, .side.chosen { border-color: var(--train); }
.side.rejected { border-color: var(--held); }
.side header { display: flex; justify-content: space-between; align-items: center; font-size: .84rem; font-weight: 600; color: var(--muted); }
.side p { margin-top: 6px; font: 1.04rem/1.6 var(--serif); white-space: pre-line; overflow-wrap: anywhere; }
.score { padding: 1px 9px; border-radius: 99px; font-variant-numeric: tabular-nums; color: var(--muted); background: var(--grid); }
.score.glad { color: var(--glad); background: var(--glad-wash); }
.score.sad { color: var(--sad); background: var(--sad-wash); }
mark { padding: 0 2px; margin: 0 -2px; border-radius: 4px; color: inherit; background: none; }
mark.glad { background: var(--glad-wash); color: var(--glad); }
mark.sad { background: var(--sad-wash); color: var(--sad); }

.facts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); align-items: start; }
.facts h2 { font-size: 1.1rem; margin-bottom: 8px; }
.facts dl { display: grid; grid-template-columns: minmax(0, auto) minmax(0, 1fr); gap: 0 20px; font-size: .92rem; }
.facts dt, .facts dd { padding: 5px 0; border-top: 1px solid var(--grid); }
.facts dt { color: var(--muted); }
.facts dd { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
details { margin-top: 20px; }
summary { cursor: pointer; font-weight: 600; font-size: .95rem; }
.scroll { overflow-x: auto; margin-top: 12px; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: 6px; }
th, td { padding: 5px 12px; text-align: right; border-top: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
thead th { border: 0; color: var(--muted); font-weight: 600; }
footer { margin-top: clamp(40px, 6vw, 64px); padding-top: 16px; border-top: 1px solid var(--line); font-size: .88rem; color: var(--muted); }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
:focus-visible { outline: 2.5px solid var(--train); outline-offset: 2px; border-radius: 4px; }
@media (max-width: 640px) { .story { grid-template-columns: 1fr; } .heads { grid-template-columns: 1fr 1fr; } .heads .figure { font-size: 1.55rem; } }
@media (max-width: 420px) { .heads { grid-template-columns: 1fr; } }
@media print { body { max-width: none; } .card { break-inside: avoid; box-shadow: none; } }
`;
