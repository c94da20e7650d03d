from scalelaws.job import logged
from scalelaws.tokens.encode import encode_documents

name = f"{snakemake.wildcards.corpus}.{snakemake.wildcards.split}"
with logged(snakemake.log[0], f"encode {name}") as progress:
    encode_documents(
        f"{snakemake.input.documents}/{snakemake.wildcards.split}",
        snakemake.input.tokenizer,
        snakemake.output.sidecar,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
        recipe=snakemake.params.recipe,
        progress=progress,
        mixture=snakemake.params.mixture if snakemake.wildcards.split == "train" else None,
    )
