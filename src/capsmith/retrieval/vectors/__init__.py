"""Nearest neighbours among stored vectors: exact with NumPy, approximate with faiss. No Keras."""

from capsmith.retrieval.vectors.exact import ExactSearch as ExactSearch
from capsmith.retrieval.vectors.faiss_search import FaissSearch as FaissSearch
from capsmith.retrieval.vectors.folding import fold as fold
from capsmith.retrieval.vectors.search import VectorSearch as VectorSearch
from capsmith.retrieval.vectors.search import search_of as search_of
