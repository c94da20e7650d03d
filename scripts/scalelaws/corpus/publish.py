"""Upload a corpus's documents and their card to a hub that speaks Hugging Face's protocol."""

import tempfile
from pathlib import Path

from scalelaws.corpus.dataset_card import dataset_readme
from scalelaws.errors import InputError
from scalelaws.io import read_json


def push_corpus(corpus: Path, name: str, private: bool) -> str:
    """Push the documents of the folder results/<study>/corpus/<corpus> to the hub's data set `name`; give its address.

    The README.md holds what the hub reads, and the corpus card where it was made. The token and the hub are those that
    huggingface_hub finds. Raises InputError for a folder without documents and where the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    documents, report = corpus / "documents", corpus / "documents.json"
    if not report.is_file() or not list(documents.glob("*/*.parquet")):
        raise InputError(str(corpus), "there are no finished documents here", "Make them: snakemake corpus.")
    card = corpus / "card.md"
    body = card.read_text(encoding="utf-8") if card.is_file() else None
    hub = HfApi()
    try:
        place = hub.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            readme = Path(folder) / "README.md"
            readme.write_text(dataset_readme(corpus.name, read_json(report)["splits"], body), encoding="utf-8")
            hub.upload_folder(
                repo_id=name,
                repo_type="dataset",
                folder_path=documents,
                allow_patterns=["*/*.parquet"],
                delete_patterns=["*/*.parquet"],
                commit_message=f"Documents of {corpus.name}",
            )
            hub.upload_file(repo_id=name, repo_type="dataset", path_in_repo="README.md", path_or_fileobj=readme)
    except HfHubHTTPError as error:
        remedy = "Log in with `hf auth login`, and check the name."
        raise InputError(f"hub: {name}", " ".join(str(error).split())[:300], remedy) from None
    return str(place)
