"""The report of a joint embedding."""


def write_retrieval_page(directory, config, records, ranks, similarity, scores, control, split):
    pass
