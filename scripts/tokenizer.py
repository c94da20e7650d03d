from scalelaws.job import logged
from scalelaws.tokens.bpe import train_tokenizer
from scalelaws.tokens.given import take_tokenizer

params = snakemake.params
with logged(snakemake.log[0], "tokenizer") as progress:
    if snakemake.input.given:
        take_tokenizer(
            snakemake.input.given, snakemake.output.folder, params.vocabulary, params.recipe, pairs=params.pairs
        )
    else:
        train_tokenizer(
            f"{snakemake.input.documents}/train",
            snakemake.output.folder,
            vocabulary=params.vocabulary,
            digits=params.digits,
            white_space=params.white_space,
            sample_bytes=params.sample_bytes,
            seed=params.seed,
            recipe=params.recipe,
            progress=progress,
            pairs=params.pairs,
        )
