import keras
import numpy as np

from capsmith.vision.small_cnn import Places, small_cnn


def test_the_output_is_a_sixteenth_in_each_direction():
    assert small_cnn((96, 96)).output_shape == (None, 6, 6, 128)
    assert small_cnn((64, 100)).output_shape == (None, 4, 7, 128)


def test_coordinates_increase_rightwards_and_downwards():
    found = np.asarray(Places()(np.zeros((2, 3, 5, 7), np.float32)))
    assert found.shape == (2, 3, 5, 2)
    np.testing.assert_allclose(found[1, 0, :, 0], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(found[0, :, 4, 1], [-1, 0, 1])


def test_the_pooled_vector_distinguishes_left_from_right():
    """An image and its mirror image must differ after pooling by more than a shifted blob inside one half does."""
    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.encoder import build_encoder

    images = np.full((2, 96, 96, 3), 255, np.uint8)
    images[0, 32:48, 16:32] = 0
    images[1] = images[0, :, ::-1]
    left, right = build_encoder(EncoderConfig(type="small_cnn")).encode(images)
    assert np.abs(left - right).max() > 0.01 * np.abs(left).max()


def test_the_small_cnn_learns_position_and_colour_from_few_images():
    """Trained for seconds to predict the side of the darker of two squares, it is right on unseen images."""
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    images = np.full((320, 48, 48, 3), 220, np.float32) + random.normal(0, 8, (320, 48, 48, 3))
    side = random.integers(0, 2, 320)
    for image, right in zip(images, side, strict=True):
        for x, colour in ((28 if right else 6, 30), (6 if right else 28, 120)):
            y = random.integers(4, 30)
            image[y : y + 12, x : x + 12] = colour
    inputs = keras.Input((48, 48, 3))
    grid = small_cnn((48, 48))(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalMaxPooling2D()(grid)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, jit_compile=keras.backend.backend() == "jax")
    model.fit(images[:256], side[:256], batch_size=32, epochs=6, verbose=0)
    guessed = np.argmax(model.predict_on_batch(images[256:]), -1)
    assert (guessed == side[256:]).mean() > 0.9
