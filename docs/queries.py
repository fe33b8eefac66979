"""Worked queries of a run's tables, in DuckDB and in pandas, as docs/tables.md gives them.

A test runs every block; the rows below each are of the smoke preset.
"""

QUERIES = """\
## Five questions

Each is answered twice, in [DuckDB](https://duckdb.org) and in pandas, with the same rows. Both
start from:

```python
import duckdb
import pandas as pd
from scipy.special import stdtrit

run = "results/laptop/tables"
names = ["cells", "studies", "metrics", "history", "layers"]
cells, studies, metrics, history, layers = (
    pd.read_parquet(f"{run}/{name}.parquet") for name in names
)
live = cells[cells["status"].isin(["converged", "max_steps"])]


def half_width(values):
    return stdtrit(values.count() - 1, 0.975) * values.sem()


db = duckdb.connect()
for name in names:
    db.sql(f"CREATE VIEW {name} AS FROM '{run}/{name}.parquet'")
db.sql("CREATE VIEW live AS FROM cells WHERE status IN ('converged', 'max_steps')")
quantiles = [float(stdtrit(count - 1, 0.975)) for count in range(2, 101)]
db.sql(f\"\"\"CREATE MACRO half_width(x) AS
    list_extract({quantiles}::DOUBLE[], count(x) - 1) * stddev_samp(x) / sqrt(count(x))\"\"\")
```

`live` holds the replicates whose numbers count, as in the figures. `half_width` is half the 95 %
interval of the mean over replicates (Student t); one has none, and DuckDB's macro knows
at most 100. A SQL text is run by `db.sql(text).df()`; the pandas version leaves rows in `found`.
The rows shown are the first of `make smoke` (`run = "results/smoke/tables"`), to three digits. Its
nets are tiny and barely trained: the rows show the form of an answer and say nothing of the
paper.

### From which depth on is a network closer to the constant than to the identity?

For each study of depths: the first depth at which the mean correlation to the constant exceeds that
to the identity, on average over replicates. `earliest` and `latest` bound it: the first depths at
which the interval of the difference reaches above zero, and lies above zero. `<NA>`: not up to
`deepest`, or, for the bounds, one replicate.

```sql
WITH pairs AS (
    SELECT study, width, depth, replicate,
           avg(correlation) FILTER (reference = 'constant')
           - avg(correlation) FILTER (reference = 'identity') AS gap
    FROM studies JOIN live USING (cell_id) JOIN metrics USING (cell_id, replicate)
    WHERE ends_with(study, '_depth') AND kind = 'correlated'
    GROUP BY ALL
), gaps AS (
    SELECT study, width, depth, avg(gap) AS gap, half_width(gap) AS half
    FROM pairs GROUP BY ALL
)
SELECT study, width,
       min(depth) FILTER (gap > 0) AS depth,
       min(depth) FILTER (gap + half > 0) AS earliest,
       min(depth) FILTER (gap - half > 0) AS latest,
       max(depth) AS deepest
FROM gaps GROUP BY ALL ORDER BY ALL
```

```python
pairs = (
    studies[studies["study"].str.endswith("_depth")]
    .merge(live, on="cell_id")
    .merge(metrics[metrics["kind"] == "correlated"], on=["cell_id", "replicate"])
    .groupby(["study", "width", "depth", "replicate", "reference"])["correlation"]
    .mean()
    .unstack()
)
gaps = (
    (pairs["constant"] - pairs["identity"])
    .groupby(["study", "width", "depth"])
    .agg(gap="mean", half=half_width)
    .reset_index("depth")
)
reached = {
    "depth": gaps["gap"] > 0,
    "earliest": gaps["gap"] + gaps["half"] > 0,
    "latest": gaps["gap"] - gaps["half"] > 0,
    "deepest": gaps["depth"] == gaps.groupby(["study", "width"])["depth"].transform("max"),
}
found = (
    pd.DataFrame({name: gaps["depth"].where(there) for name, there in reached.items()})
    .groupby(["study", "width"])
    .min()
    .astype("Int64")
    .reset_index()
)
```

```text
            study  width  depth  earliest  latest  deepest
        cnn_depth      8      5         3    <NA>        5
cnn_kernel7_depth      3   <NA>      <NA>    <NA>        3
 cnn_narrow_depth      3      5      <NA>    <NA>        5
 fcn_linear_depth    256      1         1       1        4
   fcn_relu_depth    256      1         1       1        4
```

### How often do seeds die?

Of all attempts with PyTorch's init and SGD at each depth, width and base rate, restarted ones
included, the share that died or diverged, with its 95 % Wilson interval. `dead` and `diverged`
count the replicates that are so in the end, after all their restarts.

```sql
WITH attempts AS (
    SELECT arch, activation, depth, width, lr,
           sum(restarts + 1)::INT AS tried,
           sum(restarts + (status IN ('dead', 'diverged'))::INT)::INT AS lost,
           count(*) FILTER (status = 'dead') AS dead,
           count(*) FILTER (status = 'diverged') AS diverged
    FROM cells WHERE init = 'pytorch' AND optimizer = 'sgd'
    GROUP BY ALL
), shares AS (
    SELECT *, lost / tried AS share, 1.959964 ** 2 / tried AS z
    FROM attempts
)
SELECT * EXCLUDE z,
       (share + z / 2 - sqrt(z * share * (1 - share) + z * z / 4)) / (1 + z) AS low,
       (share + z / 2 + sqrt(z * share * (1 - share) + z * z / 4)) / (1 + z) AS high
FROM shares ORDER BY arch, activation, depth, width, lr
```

```python
found = (
    cells[(cells["init"] == "pytorch") & (cells["optimizer"] == "sgd")]
    .assign(
        tried=lambda c: c["restarts"] + 1,
        lost=lambda c: c["restarts"] + c["status"].isin(["dead", "diverged"]),
        dead=lambda c: c["status"] == "dead",
        diverged=lambda c: c["status"] == "diverged",
    )
    .groupby(["arch", "activation", "depth", "width", "lr"])[["tried", "lost", "dead", "diverged"]]
    .sum()
    .reset_index()
)
share = found["lost"] / found["tried"]
z = 1.959964**2 / found["tried"]
spread = (z * share * (1 - share) + z**2 / 4) ** 0.5
found["share"] = share
found["low"] = (share + z / 2 - spread) / (1 + z)
found["high"] = (share + z / 2 + spread) / (1 + z)
```

```text
arch activation  depth  width     lr  tried  lost  dead  diverged  share  low  high
 cnn     linear      1    128  0.005      4     0     0         0      0    0  0.49
 cnn       relu      1      8 0.0001      1     0     0         0      0    0 0.793
 cnn       relu      1      8  0.001      1     0     0         0      0    0 0.793
 cnn       relu      1      8 0.0035      4     0     0         0      0    0  0.49
 cnn       relu      1      8   0.01      1     0     0         0      0    0 0.793
 cnn       relu      3      3 0.0035      2     0     0         0      0    0 0.658
```

### How does closeness to either map change with rho?

The curves of Sec. 3.2: at each correlation to the training image, the mean correlation to each
reference map over the probes of a replicate, then its mean and interval over replicates.

```sql
WITH means AS (
    SELECT depth, width, reference, rho, replicate, avg(correlation) AS correlation
    FROM studies JOIN live USING (cell_id) JOIN metrics USING (cell_id, replicate)
    WHERE study = 'cnn_depth' AND kind = 'correlated'
    GROUP BY ALL
)
SELECT depth, width, reference, rho, count(correlation) AS replicates,
       avg(correlation) AS mean, half_width(correlation) AS half
FROM means GROUP BY ALL ORDER BY ALL
```

```python
curve = ["depth", "width", "reference", "rho"]
found = (
    studies[studies["study"] == "cnn_depth"]
    .merge(live, on="cell_id")
    .merge(metrics[metrics["kind"] == "correlated"], on=["cell_id", "replicate"])
    .groupby([*curve, "replicate"])["correlation"]
    .mean()
    .groupby(curve)
    .agg(replicates="count", mean="mean", half=half_width)
    .reset_index()
)
```

```text
 depth  width reference  rho  replicates      mean     half
     1      8  constant    0           2 -0.000255  0.00241
     1      8  constant  0.5           2     0.618    0.264
     1      8  constant    1           2     0.998 0.000543
     1      8  identity    0           2     0.805    0.292
     1      8  identity  0.5           2     0.855    0.191
     1      8  identity    1           2     0.998 0.000543
```

### Which cells did not converge, and how long did they train?

A claim is no better than the cells of the studies it rests on: those that did not end `converged`,
for each way they ended, how many of their replicates, the steps these took and the worst error.

```sql
WITH counts AS (SELECT cell_id, count(*) AS total FROM cells GROUP BY ALL)
SELECT study, cell_id, status, count(*) AS ended, total,
       min(steps) AS fewest, max(steps) AS most, max(mse) AS worst
FROM studies JOIN cells USING (cell_id) JOIN counts USING (cell_id)
WHERE status <> 'converged'
GROUP BY ALL ORDER BY ALL
```

```python
counts = cells.groupby("cell_id").size().rename("total")
found = (
    studies.merge(cells[cells["status"] != "converged"], on="cell_id")
    .groupby(["study", "cell_id", "status"])
    .agg(
        ended=("steps", "size"),
        fewest=("steps", "min"),
        most=("steps", "max"),
        worst=("mse", "max"),
    )
    .reset_index()
    .merge(counts, on="cell_id")[
        ["study", "cell_id", "status", "ended", "total", "fewest", "most", "worst"]
    ]
)
```

```text
       study                                 cell_id    status  ended  total  fewest  most  worst
all_examples      cnn-d03-c3-k5-default-sgd-3c1f4a9b max_steps      1      1      50    50 0.0718
all_examples fcn-d02-h16-linear-default-sgd-d926fe8f max_steps      1      1      50    50  0.867
all_examples   fcn-d02-h16-relu-default-sgd-8b121ad3 max_steps      1      1      50    50  0.867
cnn_channels      cnn-d03-c3-k5-default-sgd-7e5874f4 max_steps      2      2     400   400 0.0142
cnn_channels      cnn-d03-c8-k5-default-sgd-d579911e max_steps      2      2     400   400 0.0088
cnn_channels      cnn-d05-c3-k5-default-sgd-c67d14d0 max_steps      2      2     400   400  0.033
```

### What does training take from what a layer knows?

The averaging classifier's error rate on each layer's output, layer 0 being the image itself, after
training and before (Fig. 5). `change` and its interval are of the two nets of one replicate, which
differ less than two replicates do.

```sql
WITH rates AS (
    SELECT cell_id, layer, replicate,
           any_value(value) FILTER (state = 'trained') AS trained,
           any_value(value) FILTER (state = 'untrained') AS untrained
    FROM layers JOIN live USING (cell_id, replicate)
    WHERE quantity = 'error_rate'
    GROUP BY ALL
)
SELECT cell_id, layer, count(*) AS replicates,
       avg(trained) AS trained, avg(untrained) AS untrained,
       avg(trained - untrained) AS change, half_width(trained - untrained) AS half
FROM rates WHERE untrained IS NOT NULL
GROUP BY ALL ORDER BY cell_id, layer
```

```python
found = (
    layers[layers["quantity"] == "error_rate"]
    .merge(live[["cell_id", "replicate"]])
    .pivot(index=["cell_id", "layer", "replicate"], columns="state", values="value")
    .dropna(subset="untrained")
    .assign(change=lambda rates: rates["trained"] - rates["untrained"])
    .groupby(["cell_id", "layer"])
    .agg(
        replicates=("change", "size"),
        trained=("trained", "mean"),
        untrained=("untrained", "mean"),
        change=("change", "mean"),
        half=("change", half_width),
    )
    .reset_index()
)
```

```text
                           cell_id  layer  replicates  trained  untrained  change  half
cnn-d05-c8-k5-default-sgd-2030d24e      0           2     0.28       0.28       0     0
cnn-d05-c8-k5-default-sgd-2030d24e      1           2     0.27       0.25    0.02     0
cnn-d05-c8-k5-default-sgd-2030d24e      2           2     0.27       0.28   -0.01 0.127
cnn-d05-c8-k5-default-sgd-2030d24e      3           2     0.29       0.38   -0.09  1.14
cnn-d05-c8-k5-default-sgd-2030d24e      4           2     0.27       0.39   -0.12 0.508
cnn-d05-c8-k5-default-sgd-2030d24e      5           2     0.27        0.6   -0.33  2.41
```
"""
