from idpipe.cells import Net, Optimizer, kinds


def test_kinds_are_the_names_in_configs():
    assert set(kinds(Net)) == {"fcn", "cnn"}
    assert set(kinds(Optimizer)) == {"sgd", "adagrad", "rmsprop", "adam", "adamax"}
