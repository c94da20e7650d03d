"""Every law as one declarative object. To add a law, add an object here and a row to tests/laws/test_forms.py."""

import numpy as np

from scalelaws.laws.form import Form, Parameter, Term, bounded_exp, exponent, scale_of
from scalelaws.laws.repeated import REPEATED

N, D, C = "parameters", "dataset_tokens", "flops"
FLOOR = Parameter("E", "E", "nats/token", "floor")
LETTERS = {
    N: ("N", "parameters"),
    D: ("D", "tokens"),
    C: ("C", "FLOPs"),
    "flops_min": (r"C_{\min}", "FLOPs"),
    "position": ("T", "tokens"),
}


def power(variable: str, source: str) -> Form:
    """The one-variable power law L = (x_c / x)^α."""
    letter, unit = LETTERS[variable]
    short = letter[0]
    alpha, scale = f"alpha_{short}", f"{short}_c"
    return Form(
        key=f"power_of_{variable}",
        formula=rf"L({letter}) = ({short}_c / {letter})^{{\alpha_{short}}}",
        source=source,
        variables=(variable,),
        parameters=(exponent(alpha, rf"\alpha_{short}"), Parameter(scale, scale, unit, "scale")),
        predict=lambda p, x: (p[scale] / x[variable]) ** p[alpha],
        terms=(Term("s", (("b", {variable: -1.0}),)),),
        natural=lambda t: {alpha: t["b"], scale: scale_of(t["s"], t["b"])},
    )


def power_with_floor(variable: str) -> Form:
    """A power law above an irreducible loss, L = L_∞ + (x_0 / x)^α."""
    letter, unit = LETTERS[variable]
    alpha, scale = f"alpha_{letter}", f"{letter}_0"
    return Form(
        key=f"power_of_{variable}_with_floor",
        formula=rf"L({letter}) = E + ({letter}_0 / {letter})^{{\alpha_{letter}}}",
        source="Henighan et al. 2020, eq. 1.1",
        variables=(variable,),
        parameters=(FLOOR, exponent(alpha, rf"\alpha_{letter}"), Parameter(scale, scale, unit, "scale")),
        predict=lambda p, x: p["E"] + (p[scale] / x[variable]) ** p[alpha],
        terms=(Term("s", (("b", {variable: -1.0}),)), Term("s_E")),
        natural=lambda t: {"E": bounded_exp(t["s_E"]), alpha: t["b"], scale: scale_of(t["s"], t["b"])},
    )


KAPLAN = Form(
    key="kaplan",
    formula=r"L(N,D) = \left[(N_c/N)^{\alpha_N/\alpha_D} + D_c/D\right]^{\alpha_D}",
    source="Kaplan et al. 2020, eq. 1.5",
    variables=(N, D),
    parameters=(
        exponent("alpha_N", r"\alpha_N"),
        exponent("alpha_D", r"\alpha_D"),
        Parameter("N_c", "N_c", "parameters", "scale"),
        Parameter("D_c", "D_c", "tokens", "scale"),
    ),
    predict=lambda p, x: ((p["N_c"] / x[N]) ** (p["alpha_N"] / p["alpha_D"]) + p["D_c"] / x[D]) ** p["alpha_D"],
    terms=(Term("s_N", (("b_N", {N: -1.0}),)), Term("s_D", ((None, {D: -1.0}),))),
    outer="ln_g",
    natural=lambda t: {
        "alpha_N": t["b_N"] * np.exp(t["ln_g"]),
        "alpha_D": np.exp(t["ln_g"]),
        "N_c": scale_of(t["s_N"], t["b_N"]),
        "D_c": bounded_exp(t["s_D"]),
    },
)

KAPLAN_STEPS = Form(
    key="kaplan_steps",
    formula=r"L(N,S_{\min}) = (N_c/N)^{\alpha_N} + (S_c/S_{\min})^{\alpha_S}",
    source="Kaplan et al. 2020, eq. 5.6",
    variables=(N, "steps_min"),
    parameters=(
        exponent("alpha_N", r"\alpha_N"),
        exponent("alpha_S", r"\alpha_S"),
        Parameter("N_c", "N_c", "parameters", "scale"),
        Parameter("S_c", "S_c", "steps", "scale"),
    ),
    predict=lambda p, x: (p["N_c"] / x[N]) ** p["alpha_N"] + (p["S_c"] / x["steps_min"]) ** p["alpha_S"],
    terms=(Term("s_N", (("alpha_N", {N: -1.0}),)), Term("s_S", (("alpha_S", {"steps_min": -1.0}),))),
    natural=lambda t: {
        "alpha_N": t["alpha_N"],
        "alpha_S": t["alpha_S"],
        "N_c": scale_of(t["s_N"], t["alpha_N"]),
        "S_c": scale_of(t["s_S"], t["alpha_S"]),
    },
)

CRITICAL_BATCH = Form(
    key="critical_batch",
    formula=r"B_{\mathrm{crit}}(L) = B_* / L^{1/\alpha_B}",
    source="Kaplan et al. 2020, eq. 5.3",
    variables=("loss",),
    parameters=(exponent("alpha_B", r"\alpha_B"), Parameter("B_star", "B_*", "tokens", "scale")),
    predict=lambda p, x: p["B_star"] / x["loss"] ** (1 / p["alpha_B"]),
    terms=(Term("s", (("b", {"loss": -1.0}),)),),
    natural=lambda t: {"alpha_B": 1 / np.maximum(t["b"], 1e-12), "B_star": bounded_exp(t["s"])},
    bounds={"b": (0.0, 100.0)},
    starts={"b": (1.0, 5.0, 20.0)},
)

CHINCHILLA = Form(
    key="chinchilla",
    formula=r"L(N,D) = E + A/N^{\alpha} + B/D^{\beta}",
    source="Hoffmann et al. 2022, eq. 2 (approach 3)",
    variables=(N, D),
    parameters=(
        FLOOR,
        Parameter("A", "A", "nats/token", "scale"),
        Parameter("B", "B", "nats/token", "scale"),
        exponent("alpha", r"\alpha"),
        exponent("beta", r"\beta"),
    ),
    predict=lambda p, x: p["E"] + p["A"] * x[N] ** -p["alpha"] + p["B"] * x[D] ** -p["beta"],
    terms=(Term("s_N", (("alpha", {N: -1.0}),)), Term("s_D", (("beta", {D: -1.0}),)), Term("s_E")),
    natural=lambda t: {
        "E": bounded_exp(t["s_E"]),
        "A": bounded_exp(t["s_N"]),
        "B": bounded_exp(t["s_D"]),
        "alpha": t["alpha"],
        "beta": t["beta"],
    },
)

DROPPO = Form(
    key="droppo",
    formula=r"L(N,D) = \left[E^{1/\gamma} + (N_c/N)^{\alpha_N/\gamma} + (D_c/D)^{\alpha_D/\gamma}\right]^{\gamma}",
    source="Droppo & Elibol 2021, the joint law",
    variables=(N, D),
    parameters=(
        FLOOR,
        exponent("alpha_N", r"\alpha_N"),
        exponent("alpha_D", r"\alpha_D"),
        exponent("gamma", r"\gamma"),
        Parameter("N_c", "N_c", "parameters", "scale"),
        Parameter("D_c", "D_c", "tokens", "scale"),
    ),
    predict=lambda p, x: (
        (
            p["E"] ** (1 / p["gamma"])
            + (p["N_c"] / x[N]) ** (p["alpha_N"] / p["gamma"])
            + (p["D_c"] / x[D]) ** (p["alpha_D"] / p["gamma"])
        )
        ** p["gamma"]
    ),
    terms=(Term("s_N", (("b_N", {N: -1.0}),)), Term("s_D", (("b_D", {D: -1.0}),)), Term("s_E")),
    outer="ln_g",
    natural=lambda t: {
        "E": bounded_exp(t["s_E"] * np.exp(t["ln_g"])),
        "alpha_N": t["b_N"] * np.exp(t["ln_g"]),
        "alpha_D": t["b_D"] * np.exp(t["ln_g"]),
        "gamma": np.exp(t["ln_g"]),
        "N_c": scale_of(t["s_N"], t["b_N"]),
        "D_c": scale_of(t["s_D"], t["b_D"]),
    },
)

GHORBANI = Form(
    key="encoder_decoder",
    formula=r"L(N_e,N_d) = E + A\, N_e^{-p_e} N_d^{-p_d}",
    source="Ghorbani et al. 2021, the law of both sizes, its reference sizes taken into A",
    variables=("encoder_parameters", "decoder_parameters"),
    parameters=(
        FLOOR,
        Parameter("A", "A", "nats/token", "scale"),
        exponent("p_e", "p_e"),
        exponent("p_d", "p_d"),
    ),
    predict=lambda p, x: p["E"] + p["A"] * x["encoder_parameters"] ** -p["p_e"] * x["decoder_parameters"] ** -p["p_d"],
    terms=(Term("s", (("p_e", {"encoder_parameters": -1.0}), ("p_d", {"decoder_parameters": -1.0}))), Term("s_E")),
    natural=lambda t: {"E": bounded_exp(t["s_E"]), "A": bounded_exp(t["s"]), "p_e": t["p_e"], "p_d": t["p_d"]},
)

OVERTRAINING = Form(
    key="overtraining",
    formula=r"L(C,M) = E + (a\,M^{\eta} + b\,M^{-\eta})\,C^{-\eta},\quad C = 6MN^2",
    source="Gadre et al. 2024, eq. 4",
    variables=(N, "tokens_per_parameter"),
    parameters=(
        FLOOR,
        Parameter("a", "a", "nats/token", "scale"),
        Parameter("b", "b", "nats/token", "scale"),
        exponent("eta", r"\eta"),
    ),
    predict=lambda p, x: (
        p["E"]
        + (p["a"] * x["tokens_per_parameter"] ** p["eta"] + p["b"] * x["tokens_per_parameter"] ** -p["eta"])
        * (6 * x["tokens_per_parameter"] * x[N] ** 2) ** -p["eta"]
    ),
    terms=(
        Term("s_N", (("eta", {N: -2.0, "": -np.log(6.0)}),)),
        Term("s_D", (("eta", {N: -2.0, "tokens_per_parameter": -2.0, "": -np.log(6.0)}),)),
        Term("s_E"),
    ),
    natural=lambda t: {
        "E": bounded_exp(t["s_E"]),
        "a": bounded_exp(t["s_N"]),
        "b": bounded_exp(t["s_D"]),
        "eta": t["eta"],
    },
)


SHAPE_COLUMNS = {"width": ("A_w", "a_w"), "depth": ("A_d", "a_d"), N: ("A_N", "a_N"), D: ("A_D", "a_D")}


def shape(variables: tuple[str, ...]) -> Form:
    """Loss as a floor plus one power of each of width, depth, parameters and tokens."""
    named = [(variable, *SHAPE_COLUMNS[variable]) for variable in variables]
    letters = {"width": "w", "depth": "d", N: "N", D: "D"}
    return Form(
        key="shape_of_" + "_".join(v.split("_")[0] for v in variables),
        formula="L = E + " + " + ".join(rf"A_{letters[v]} / {letters[v]}^{{a_{letters[v]}}}" for v in variables),
        source="McLeish et al. 2025, the fits of width and depth",
        variables=variables,
        parameters=(
            FLOOR,
            *(Parameter(a, a, "nats/token", "scale") for _, a, _ in named),
            *(exponent(b, b) for _, _, b in named),
        ),
        predict=lambda p, x: p["E"] + np.sum([p[a] * x[v] ** -p[b] for v, a, b in named], axis=0),
        terms=(*(Term(f"s_{v}", ((b, {v: -1.0}),)) for v, _, b in named), Term("s_E")),
        natural=lambda t: {
            "E": bounded_exp(t["s_E"]),
            **{a: bounded_exp(t[f"s_{v}"]) for v, a, _ in named},
            **{b: t[b] for _, _, b in named},
        },
    )


GAP = Form(
    key="gap_power",
    formula=r"L_{\mathrm{test}} - L_{\mathrm{train}} = G\, N^{p} / D^{q}",
    source="after Kaplan et al. 2020, eq. 4.3 and 4.4: overfitting grows with N^0.74/D, a power each of N and 1/D",
    variables=(N, D),
    parameters=(Parameter("G", "G", "nats/token", "scale"), exponent("p", "p"), exponent("q", "q")),
    predict=lambda p, x: p["G"] * x[N] ** p["p"] * x[D] ** -p["q"],
    terms=(Term("s", (("p", {N: 1.0}), ("q", {D: -1.0}))),),
    natural=lambda t: {"G": bounded_exp(t["s"]), "p": t["p"], "q": t["q"]},
    bounds={"p": (-2.0, 5.0)},
    starts={"p": (0.0, 0.2, 0.5, 1.0)},
)

TRANSFER = Form(
    key="transfer_line",
    formula=r"L_{\mathrm{ood}} = \Delta + \lambda\, L_{\mathrm{test}}",
    source="Kaplan et al. 2020, section 3.2.2, claims a constant offset: slope λ = 1",
    variables=("loss",),
    parameters=(
        Parameter("slope", r"\lambda", "", "slope"),
        Parameter("offset", r"\Delta", "nats/token", "offset"),
    ),
    predict=lambda p, x: p["offset"] + p["slope"] * x["loss"],
    terms=(Term("offset", (("slope", {"loss": 1.0}),)),),
    natural=lambda t: {"slope": t["slope"], "offset": t["offset"]},
    logarithmic=False,
    bounds={"slope": (-10.0, 10.0)},
)

FORMS: dict[str, Form] = {
    form.key: form
    for form in (
        power(N, "Kaplan et al. 2020, eq. 1.1"),
        power(D, "Kaplan et al. 2020, eq. 1.2"),
        power(C, "Kaplan et al. 2020, section 3.3 (fixed batch size)"),
        power("flops_min", "Kaplan et al. 2020, eq. 1.3"),
        power_with_floor(N),
        power_with_floor(D),
        power_with_floor(C),
        power_with_floor("position"),
        KAPLAN,
        KAPLAN_STEPS,
        CRITICAL_BATCH,
        CHINCHILLA,
        DROPPO,
        GHORBANI,
        OVERTRAINING,
        REPEATED,
        shape(("width", "depth", D)),
        shape(("width", "depth", N, D)),
        GAP,
        TRANSFER,
    )
}
"""All forms by key."""
