"""Names of weights as `transformers` stores them."""


def parameter_name(name: str) -> str:
    """A weight's name as torch allows it for a parameter."""
    return name.replace(".", "_")
