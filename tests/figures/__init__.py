"""A synthetic study, drawn from known laws, for the tests of the figures."""
