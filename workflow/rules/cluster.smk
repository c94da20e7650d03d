# A cluster: is all there that its profile names?


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
        memory_mb=max((needs.memory_mb for needs in NEEDS.values()), default=0),
        sharing_mb=[NEEDS[run].memory_mb for run in sorted(SHARING_JOBS)],
        hours=config["longest_job_hours"],
    message:
        "Check the cluster"
    script:
        "../../scripts/check_cluster.py"
