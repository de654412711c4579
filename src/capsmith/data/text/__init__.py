"""From captions to token ids and back: cleaning, tokenisation, the vocabulary, word vectors."""
