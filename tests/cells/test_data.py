import itertools

import pytest

from idpipe.cells import SOURCES, DataSpec, Example


class TestData:
    @pytest.mark.parametrize("source", SOURCES)
    def test_source_fills_in_its_facts(self, source):
        data, facts = DataSpec(source=source), SOURCES[source]
        assert (data.size, data.channels) == (facts.size, facts.channels)
        assert (data.mean, data.std) == (facts.mean, facts.std)
        data.check_examples(facts.per_class, 1)

    def test_colour_folder_is_standardized_as_cifar(self):
        data = DataSpec(source="image_folder", channels=3)
        assert data.mean == SOURCES["cifar10"].mean

    def test_only_a_folder_has_a_digest(self):
        with pytest.raises(ValueError, match="digest: only for the source image_folder"):
            DataSpec(source="mnist", digest="abc")

    @pytest.mark.parametrize("vary", [False, True])
    def test_example_range_by_brute_force(self, vary):
        per_class, replicates = (4, 6), 3
        for label, index in itertools.product(range(3), range(8)):
            data = DataSpec(examples=(Example(label=label, index=index),), vary=vary)
            used = range(index, index + replicates) if vary else [index]
            exists = label < 2 and all(i < per_class[label] for i in used)
            if exists:
                data.check_examples(per_class, replicates)
            else:
                with pytest.raises(ValueError, match=r"^examples\[0\]\.(label|index): must be"):
                    data.check_examples(per_class, replicates)

    def test_more_replicates_than_images(self):
        with pytest.raises(ValueError, match=r"^vary: must be false for 5 replicates"):
            DataSpec(vary=True, examples=(Example(label=0),)).check_examples((4,), 5)

    def test_files_decide_where_nothing_is_known(self):
        DataSpec(examples=(Example(label=10**6),)).check_examples(None, 1)
