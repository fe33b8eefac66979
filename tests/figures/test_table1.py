import csv
import io
import itertools
import re

from idpipe.config import FigureStyle
from idpipe.figures.draw import draw
from idpipe.figures.table1 import table, table1_texts
from idpipe.results import Results

# Table 1 of the paper, number by number; blank where it prints nothing.
PAPER = """
FCN num layers|1|2|4|6|8|10
hidden dim = 784|614,656|1,229,312|2,458,624|3,687,936|4,917,248|6,146,560
hidden dim = 2048||3,211,264|11,599,872|19,988,480|28,377,088|36,765,696

CNN num layers|1|3|5|6|7|8
5 × 5 filter, 3 channels|25|375|825|1,050|1,275|1,500
5 × 5 filter, 128 channels|25|416,000|1,235,200|1,644,800|2,054,400|2,464,000
5 × 5 filter, 1024 channels|||78,694,400||131,123,200|
7 × 7 filter, 3 channels|49|735|1,617|2,058|2,499|2,940
7 × 7 filter, 128 channels|49|815,360|2,420,992|3,223,808|4,026,624|4,829,440
7 × 7 filter, 1024 channels|||154,241,024||257,001,472|

CNN num layers|9|10|11|12|13|14
5 × 5 filter, 3 channels|1,725|1,950|2,175|2,400|2,625|2,850
5 × 5 filter, 128 channels|2,873,600|3,283,200|3,692,800|4,102,400|4,512,000|4,921,600
5 × 5 filter, 1024 channels||||262,195,200||314,624,000
7 × 7 filter, 3 channels|3,381|3,822|4,263|4,704|5,145|5,586
7 × 7 filter, 128 channels|5,632,256|6,435,072|7,237,888|8,040,704|8,843,520|9,646,336
7 × 7 filter, 1024 channels||||513,902,592||616,663,040

CNN num layers|15|16|17|19|20|24
5 × 5 filter, 3 channels|3,075|3,300|3,525|3,975|4,200|5,100
5 × 5 filter, 128 channels|5,331,200|5,740,800|6,150,400|6,969,600|7,379,200|9,017,600
5 × 5 filter, 1024 channels|||||471,910,400|
7 × 7 filter, 3 channels|6,027|6,468|6,909|7,791|8,232|9,996
7 × 7 filter, 128 channels|10,449,152|11,251,968|12,054,784|13,660,416|14,463,232|17,674,496
7 × 7 filter, 1024 channels|||||924,944,384|

CNN filter size|9 × 9|13 × 13|17 × 17|25 × 25|29 × 29|57 × 57
5 layers, 128 channels|4,002,048|8,349,952|14,278,912|30,880,000|41,552,128|160,526,592
"""
BLOCKS = [[line.split("|") for line in block.splitlines()] for block in PAPER.strip().split("\n\n")]


def printed_numbers() -> dict[tuple[str, str, str], int]:
    """(section, row, column) -> the paper's number."""
    return {
        (head[0], label, column): int(entry.replace(",", ""))
        for head, *rows in BLOCKS
        for label, *entries in rows
        for column, entry in zip(head[1:], entries, strict=True)
        if entry
    }


def test_every_number_of_the_paper_and_no_other():
    ours = {(r.section, r.row, r.column): r.parameters for r in table().itertuples()}
    assert ours == printed_numbers()
    assert len(ours) == 11 + 4 * 6 * 3 + 2 * (2 + 2 + 1) + 6


def test_counts_follow_from_the_tables_own_columns():
    for row in table().itertuples():
        end, each = (784, 1) if row.arch == "fcn" else (1, row.kernel**2)
        widths = [end, *[row.width] * (row.layers - 1), end]
        assert row.parameters == sum(each * a * b for a, b in itertools.pairwise(widths))


def test_markdown_has_the_papers_layout():
    text = re.sub(r" *\| *", "|", table1_texts(Results())[".md"])
    found = [
        [line[1:-1].split("|") for line in block.splitlines()]
        for block in text.strip().split("\n\n")
    ]
    assert [[lines[0], *lines[2:]] for lines in found] == BLOCKS


def test_csv_is_tidy():
    rows = list(csv.DictReader(io.StringIO(table1_texts(Results())[".csv"])))
    names = "section row column arch layers width kernel parameters"
    assert list(rows[0]) == names.split()
    assert {row["kernel"] for row in rows if row["arch"] == "fcn"} == {""}
    assert sum(int(row["parameters"]) for row in rows) == sum(printed_numbers().values())


def test_the_picture_shows_every_entry_in_its_place(printed):
    drawn = printed(draw("table1", Results(), FigureStyle()))
    shown = [text for text in drawn.axes[0].texts if text.get_text()]
    lines: dict[float, list[str]] = {}
    for text in sorted(shown, key=lambda text: text.get_position()[0]):
        lines.setdefault(text.get_position()[1], []).append(text.get_text())
    expected = [[entry for entry in line if entry] for block in BLOCKS for line in block]
    assert [lines[y] for y in sorted(lines)] == expected
    # Numbers end below the end of their column's head.
    ends = [text.get_position()[0] for text in drawn.axes[0].texts if text.get_ha() == "right"]
    assert len(set(ends)) == 6
    assert {ends.count(end) for end in set(ends)} == {len(ends) // 6}
