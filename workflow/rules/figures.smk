"""Figures: each drawn from what its studies' cells came to; no other cell is trained for it."""

FIGURE_FILES = {name: reported(TARGETS.figure_files(name), name) for name in FIGURES}

for name in FIGURES:

    rule:
        name:
            name
        input:
            figure_inputs(name),
            # The probe files too, but a newer date of theirs changes nothing.
            ancient(
                list(dict.fromkeys(TARGETS.probes(cell) for cell in TARGETS.figure_cells(name)))
            ),
        output:
            FIGURE_FILES[name],
        log:
            RESULTS / PLAN.config.run / "logs" / f"{name}.log",
        threads: JOB_THREADS
        resources:
            runtime=lambda wildcards, attempt: attempt * 20,
            mem_mb=1500,
        params:
            # Asked of the figures alone that are drawn, and not by jobs that parse this file again.
            figure=lambda wildcards, name=name: figure_params(name),
        message:
            f"drawing {name}: {FIGURES[name].title}"
        script:
            "../scripts/figure.py"
