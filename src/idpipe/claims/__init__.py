"""The scorecard: the paper's claims, what a run says of each, and how it is told.

`claims.yaml` is the list; `evidence` measures what no other table holds; `verdicts` judges;
`texts` and `picture` write.
"""
