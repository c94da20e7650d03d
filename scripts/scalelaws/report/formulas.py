"""Formulas and symbols, written in matplotlib's mathtext, as HTML."""

import base64
import io
import re

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "eta": "η", "lambda": "λ", "Delta": "Δ", "rho": "ρ"}
POINTS = 11
PIXELS_A_POINT = 96 / 72


def formula_image(mathtext: str, description: str) -> Markup:
    """A formula as an <img> that holds its own SVG, sized in em so that it grows with the text around it."""
    with mpl.rc_context({"svg.hashsalt": "scalelaws", "svg.fonttype": "path", "mathtext.fontset": "dejavuserif"}):
        figure = Figure()
        figure.text(0, 0, f"${mathtext}$", fontsize=POINTS)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", bbox_inches="tight", pad_inches=0.02, transparent=True, metadata=NO_DATE)
    svg = stream.getvalue()
    found = re.search(rb'height="([\d.]+)pt"', svg)
    height = float(found.group(1)) / POINTS if found else 1.5
    data = base64.b64encode(svg).decode("ascii")
    return Markup('<img class="formula" style="height:{:.2f}em" alt="{}" src="data:image/svg+xml;base64,{}">').format(
        height, description, data
    )


NO_DATE = {"Date": None, "Creator": None}


def symbol_html(mathtext: str) -> Markup:
    """A parameter's symbol, such as \\alpha_N or C^*, with a Greek letter, a subscript, a superscript."""
    text = str(escape(re.sub(r"\\([A-Za-z]+)", lambda match: GREEK.get(match.group(1), match.group(1)), mathtext)))
    for mark, tag in (("_", "sub"), (r"\^", "sup")):
        text = re.sub(rf"{mark}(?:\{{([^}}]*)\}}|([\w*]))", rf"<{tag}>\1\2</{tag}>", text)
    return Markup(text)
