# A cluster: is all there that its profile names?

from scalelaws.cluster import PROFILE, site_of
from scalelaws.training.needs import shared_memory_mb


rule check_cluster:
    """Say in one line each what the site's lines of the profile name and the cluster lacks; submits nothing."""
    input:
        profile=ROOT / PROFILE,
    log:
        "<study>/logs/check_cluster.log",
    conda:
        "../../envs/laws.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=minutes(5),
    params:
        memory_mb=lambda wildcards, input: max(
            shared_memory_mb(NEEDS, SHARING_JOBS, site_of(input.profile)["cores"]),
            *(needs.memory_mb for needs in NEEDS.values()),
        ),
        hours=config["longest_job_hours"],
    message:
        "Check the cluster"
    script:
        "../../scripts/check_cluster.py"
