"""Scaling laws from a table of runs, for a notebook.

    from scalelaws.laws.answers import comparison, predictions, ranking, splits, transfer_matrix
    from scalelaws.laws.study import fit_laws
    from scalelaws.observations.read import read_table

    reading = read_table("runs.csv")  # or columns={"loss": "c4_loss"}, units={"parameters": 1e6}, where="step > 100"
    print(*reading.how, *reading.warnings, sep="\\n")  # how each column was read, and what looks wrong
    laws = fit_laws(reading.observations, {"resamples": 1000}, seed=0)

    law = laws.laws["loss_of_parameters_and_data_chinchilla"]
    law.status, law.messages  # determined or not, and why
    law.parameters["alpha"]  # its value with a 95% interval
    law.predict(parameters=7e9, dataset_tokens=2e12)
    law.band(parameters=7e9, dataset_tokens=2e12)  # the 95% interval of the prediction
    law.region("A", "alpha")  # where two parameters lie together
    law.backtest.sentence()  # fitted without the largest runs, how it predicts them
    law.extrapolation  # the error of prediction against its distance

    ranking(laws)  # all laws, by what they predicted without having seen it
    predictions(laws, {"parameters": 7e9, "tokens": 2e12})
    splits(laws, flops=1e24)  # the best N and D for a budget, by each of Hoffmann et al.'s approaches
    laws.derived  # what follows by Kaplan et al.'s formulas
    laws.accounts  # every exponent of N and C without embeddings and with them, where the table records these

A law is a declarative `form.Form`; all of them are in `forms.FORMS`. `estimate.fit_law` fits one to rows of your own,
with weights, held or tied parameters; `kaplan`, `accounting` and `profile` are plain functions. `files.write_laws`
keeps laws as JSON with their draws beside it, `files.read_laws` brings them back, `figures.draw.draw_figures` draws
them.
"""
