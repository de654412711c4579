"""Pretrained models of keras-hub: their presets, and encoders made of them."""
