"""Turns what a terminal shows into an SVG: the picture in the README.

    tmux capture-pane -p -e | python3 scripts/picture.py > docs/images/terminal.svg
"""

import re
import sys
import unicodedata
from html import escape

WIDTH, HEIGHT, MARGIN = 8.43, 19, 16
BACKGROUND, FOREGROUND = "#16181d", "#d5d8df"
COLOURS = dict(zip(range(30, 38), ["#16181d", "#f0717b", "#8bd49c", "#ebc06d", "#6fb1f5", "#d8a0e8", "#70c9d8", FOREGROUND]))


def styles(codes, style):
    """The style after a sequence of codes: colour, bold, dim."""
    colour, bold, dim = style
    for code in codes:
        if code == 0:
            colour, bold, dim = FOREGROUND, False, False
        elif code == 1:
            bold = True
        elif code == 2:
            dim = True
        elif code == 22:
            bold = dim = False
        elif code == 39:
            colour = FOREGROUND
        elif code in COLOURS:
            colour = COLOURS[code]
    return colour, bold, dim


def span(text, column, style):
    colour, bold, dim = style
    attributes = f'x="{MARGIN + column * WIDTH:.1f}" fill="{colour}"'
    attributes += ' font-weight="bold"' if bold else ""
    attributes += ' opacity="0.55"' if dim else ""
    return f'<tspan {attributes} textLength="{len(text) * WIDTH:.1f}">{escape(text)}</tspan>'


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    style, rows, columns = (FOREGROUND, False, False), [], 0
    for number, line in enumerate(lines):
        column, parts = 0, []
        for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([0-9;]*)m", line):
            if text:
                text = "".join(letter for letter in text if not unicodedata.combining(letter))
                if text.strip():
                    parts.append(span(text, column, style))
                column += len(text)
            else:
                style = styles([int(code or 0) for code in codes.split(";")], style)
        columns = max(columns, column)
        y = MARGIN + (number + 1) * HEIGHT - 5
        rows.append(f'<text y="{y}" xml:space="preserve">{"".join(parts)}</text>')
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    print('<g font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14">')
    print("\n".join(rows))
    print("</g>\n</svg>")


main()
