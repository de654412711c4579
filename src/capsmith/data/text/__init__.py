"""From a caption to word ids and back: cleaning, tokens, the vocabulary, word vectors."""
