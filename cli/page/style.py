"""The style sheet of a report: light, dark and on paper, with nothing from elsewhere.

The colours are those of Okabe and Ito, which the colour-blind can tell apart.
"""

STYLE = """
:root{color-scheme:light dark;
 --ink:#1b2430;--soft:#5a6675;--line:#d9dee5;--paper:#f5f7f9;--card:#fff;--warn:#8a4b00;
 --warnback:#fff4e0;--compute:#0072b2;--comm:#d55e00;--copy:#e69f00;--idle:#c3cad3;
 --good:#009e73;--bad:#c0392b;--other:#7b8794;--model:#56b4e9;--default:#cc79a7}
@media (prefers-color-scheme:dark){:root{
 --ink:#e6eaf0;--soft:#a3afbd;--line:#333d4a;--paper:#12171d;--card:#1a2129;--warn:#ffc46b;
 --warnback:#33280f;--compute:#4aa3dd;--comm:#f0803a;--copy:#f0b73d;--idle:#4a5563;
 --good:#2fc59b;--bad:#ef6a5b;--other:#8d99a7;--model:#7cc8f2;--default:#dd95ba}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:66rem;margin:0 auto;padding:2rem 1.25rem 3rem}
header{margin-bottom:1.5rem}
.kicker{color:var(--soft);font-size:.85rem;letter-spacing:.04em;margin:0}
h1{font-size:1.65rem;line-height:1.25;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:2.4rem 0 .4rem;padding-top:.6rem;border-top:2px solid var(--line)}
h3{font-size:1.02rem;margin:0 0 .3rem}
h4{font-size:.9rem;margin:1.1rem 0 .2rem;color:var(--soft)}
p{margin:.35rem 0}
.lead{font-size:1.12rem}
.soft,figcaption{color:var(--soft);font-size:.88rem}
section.card{background:var(--card);border:1px solid var(--line);border-radius:8px;
 padding:1rem 1.2rem 1.1rem;margin:1rem 0}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:1rem 0 0;padding:0}
.facts div{min-width:7rem}
.facts dt{color:var(--soft);font-size:.8rem}
.facts dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
nav{font-size:.9rem;margin:.8rem 0 0}
nav a{margin-right:1.1rem}
a{color:var(--compute)}
code{font:.86em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--paper);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;
 white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;margin:.5rem 0 .2rem;
 font-variant-numeric:tabular-nums}
table.narrow{width:auto;min-width:min(100%,30rem)}
th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid var(--line);
 vertical-align:top}
thead th{color:var(--soft);font-weight:600;border-bottom:1.5px solid var(--line);
 vertical-align:bottom}
th:first-child{text-align:left;padding-left:0}
td:last-child,th:last-child{padding-right:0}
tbody th{font-weight:400;min-width:8rem}
tbody tr:last-child>*{border-bottom:0}
figure{margin:.5rem 0 0;overflow-x:auto}
svg.chart{width:100%;min-width:38rem;height:auto;display:block}
svg text{fill:var(--ink);font-size:13px;font-variant-numeric:tabular-nums}
svg .name{text-anchor:end}
svg .faint .compute{fill:color-mix(in srgb,var(--compute) 55%,var(--card))}
svg .faint .comm{fill:color-mix(in srgb,var(--comm) 55%,var(--card))}
svg .faint .copy{fill:color-mix(in srgb,var(--copy) 55%,var(--card))}
svg .faint .idle{fill:color-mix(in srgb,var(--idle) 55%,var(--card))}
svg .tick{fill:var(--soft);font-size:11px;text-anchor:middle}
svg .grid{stroke:var(--line);stroke-width:1}
svg .limit{stroke:var(--bad);stroke-width:2;stroke-dasharray:5 3}
svg .whisker{stroke:var(--ink);stroke-width:1.5;fill:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.4rem 0 0;padding:0;
 font-size:.85rem;color:var(--soft)}
.swatch{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.4rem;
 vertical-align:-.08rem}
.compute{fill:var(--compute);background:var(--compute)}
.comm{fill:var(--comm);background:var(--comm)}
.copy{fill:var(--copy);background:var(--copy)}
.idle{fill:var(--idle);background:var(--idle)}
.good{fill:var(--good);background:var(--good)}
.bad{fill:var(--bad);background:var(--bad)}
.other{fill:var(--other);background:var(--other)}
.model{fill:var(--model);background:var(--model)}
.default{fill:var(--default);background:var(--default)}
.doubts{background:var(--warnback);border-left:4px solid var(--warn);border-radius:4px;
 padding:.6rem 1rem;margin:1rem 0}
.doubts h3{color:var(--warn)}
.doubts ul,.card ul:not(.legend){margin:.3rem 0;padding-left:1.2rem}
.verdict-bad{color:var(--bad);font-weight:600}
footer{color:var(--soft);font-size:.85rem}
@media print{
 :root{--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--card:#fff;--warn:#6b3a00;
  --warnback:#fff;--compute:#0072b2;--comm:#d55e00;--copy:#e69f00;--idle:#c3cad3;
  --good:#009e73;--bad:#c0392b;--other:#7b8794;--model:#56b4e9;--default:#cc79a7}
 *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
 html{font-size:11px} body{font-size:11px} main{max-width:none;padding:0} nav{display:none}
 section.card{border:0;padding:0;margin:.8rem 0} h2,h3,h4,h3+p{break-after:avoid}
 figure,tr,.doubts,.facts{break-inside:avoid}
 .scroll,figure{overflow:visible} svg.chart{min-width:0}
 @page{margin:14mm}}
"""
