"""Figures: each drawn from what its studies' cells came to; no other cell is trained for it."""

from idpipe.figures.paper import category, subcategory


def reported(paths, name):
    """A figure's files; its PNG goes into the report."""
    figure = FIGURES[name]
    how = {
        "caption": "../report/figure.rst",
        "category": category(figure.section),
        "subcategory": subcategory(figure.section),
        # One label: the report takes a second with two values for a switch between files.
        "labels": {"figure": f"{name}: {figure.title}"},
    }
    return [report(str(path), **how) if path.suffix == ".png" else str(path) for path in paths]


def caption(name):
    """A figure's caption; workflow/report/figure.rst asks for it where a report is made."""
    from idpipe.figures import captions

    stale = any(job.rule.name == name for job in workflow.dag.needrun_jobs())
    return captions.caption(name, PLAN, stale)


FIGURE_FILES = {name: reported(TARGETS.figure_files(name), name) for name in FIGURES}

for name in FIGURES:

    rule:
        name:
            name
        input:
            refusal([name]) or params.figure_inputs(TARGETS, name),
            # The probe files too, but a newer date of theirs changes nothing.
            ancient(params.probe_files(TARGETS, TARGETS.figure_cells(name))),
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
            figure=lambda wildcards, name=name: params.figure(TARGETS, name),
        message:
            f"drawing {name}: {FIGURES[name].title}"
        script:
            "../scripts/figure.py"
