"""The look of the report page: light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5a6577;--line:#e3e7ee;--sheet:#fff;
--ground:#f5f7fa;--blue:#1f5fb4;--good:#2f7d4f;--bad:#b3261e;--unsure:#8a6d00}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf2;--soft:#9aa6ba;--line:#2b3445;
--sheet:#171d28;--ground:#0f141c;--blue:#6ea8ff;--good:#3f9a66;--bad:#d0463d;--unsure:#b08c10}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 system-ui,-apple-system,
"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:2rem 1.25rem 4rem}
header{margin-bottom:1.5rem}
.kind{margin:0;color:var(--blue);font-weight:600;letter-spacing:.04em;text-transform:uppercase;
font-size:.75rem}
h1{margin:.1rem 0 .4rem;font-size:1.8rem;line-height:1.2;overflow-wrap:anywhere}
h2{font-size:1.02rem;margin:0 0 .8rem}
.lead{font-size:1.1rem;margin:0 0 .3rem}
.under{color:var(--soft);margin:0 0 .8rem}
.badge{display:inline-block;font-size:.78rem;font-weight:600;padding:.12rem .6rem;color:#fff;
border-radius:1rem;vertical-align:middle;text-transform:uppercase;letter-spacing:.03em}
h1 .badge{font-size:.9rem;padding:.25rem .8rem}
.pass{background:var(--good)}.fail{background:var(--bad)}.inconclusive{background:var(--unsure)}
section{background:var(--sheet);border:1px solid var(--line);border-radius:10px;
padding:1.1rem 1.25rem;margin-bottom:1rem}
section.cards{background:none;border:0;padding:0;display:grid;gap:.75rem;
grid-template-columns:repeat(auto-fit,minmax(170px,1fr))}
.card{background:var(--sheet);border:1px solid var(--line);border-top:3px solid var(--line);
border-radius:10px;padding:.8rem 1rem}
.card h2{font-size:.82rem;font-weight:600;color:var(--soft);margin:0}
.card p{margin:.1rem 0 .3rem}.card b{font-size:1.7rem;line-height:1.2}
.card ul{list-style:none;margin:0;padding:0;color:var(--soft);font-size:.8rem;line-height:1.4}
.card.good{border-top-color:var(--good)}.card.bad{border-top-color:var(--bad)}
.card.unsure{border-top-color:var(--unsure)}
.advice{border-left:4px solid var(--blue)}
ol,ul{margin:.2rem 0;padding-left:1.3rem}
.pair{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr))}
svg{width:100%;height:auto;min-width:440px;max-width:720px;display:block}
img.sheet{max-width:100%;background:#fff;border-radius:6px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line);
white-space:nowrap}
th{color:var(--soft);font-size:.82rem;font-weight:600}
.facts td:first-child{color:var(--soft);width:11rem}.facts td{white-space:normal;
overflow-wrap:anywhere}
pre{margin:0;overflow-x:auto;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
@media(max-width:560px){main{padding:1rem .75rem 3rem}h1{font-size:1.4rem}section{padding:.9rem}
.facts td:first-child{width:7rem}}
@media print{body{background:#fff}section,.card{break-inside:avoid}}
""".strip()
