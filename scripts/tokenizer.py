from scalelaws.job import logged
from scalelaws.tokens.bpe import train_tokenizer

params = snakemake.params
with logged(snakemake.log[0], "tokenizer") as progress:
    train_tokenizer(
        f"{snakemake.input.documents}/train",
        snakemake.output.folder,
        vocabulary=params.vocabulary,
        sample_bytes=params.sample_bytes,
        seed=params.seed,
        recipe=params.recipe,
        progress=progress,
    )
