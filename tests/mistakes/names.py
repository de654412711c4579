"""Valid configs that name missing files, and misspelt names of components."""

from tests.mistakes import Workshop, mistake


def _validate(shop: Workshop, **changes: object) -> list[str]:
    return ["validate", "--config", shop.config(**changes)]  # type: ignore[arg-type]


@mistake("data folder that is not there", "data.root")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, data={"root": str(shop / "gone")})


@mistake("captions and images that are not there", "data.captions", "data.images", errors=2)
def _(shop: Workshop) -> list[str]:
    return _validate(shop, data={"captions": "gone.csv", "images": "photos"})


@mistake("split list that is not there", "data.lists.dev", "Flickr_8k.devImages.txt")
def _(shop: Workshop) -> list[str]:
    for name in ("data/Flickr8k.token.txt", "data/Flickr_8k.trainImages.txt", "data/Flickr_8k.testImages.txt"):
        shop.write(name, "")
    (shop / "data" / "Images").mkdir()
    shop.sections["data"] = {"type": "flickr8k", "root": str(shop / "data")}
    return _validate(shop)


@mistake("weights file that is not there, in validate", "encoder.weights", "gone.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, encoder={"weights": str(shop / "gone.weights.h5")})


@mistake("weights of the second encoder that are not there", "encoder.1.weights", "gone.h5")
def _(shop: Workshop) -> list[str]:
    one = shop.sections["encoder"]
    shop.sections["encoder"] = [one, {**one, "weights": "gone.h5"}]
    return _validate(shop)


@mistake("word vectors that are not there, in validate", "decoder.embedding.vectors", "gone.txt")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, decoder={"embedding": {"size": 8, "vectors": "gone.txt"}})


@mistake("feature store that is not there, in validate", "features.store")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, features={"store": "gone"})


@mistake("run to begin with that is not there, in validate", "training.resume_weights_from")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, training={"resume_weights_from": "gone"})


@mistake("run of other words that is not there, in validate", "training.transfer_from")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, training={"transfer_from": "gone"})


@mistake("config of a first stage that is not there, in validate", "training.stage_one.config", "first.yaml")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, training={"resume_weights_from": "gone", "stage_one": {"config": "first.yaml"}})


@mistake("config of a member that is not there, in validate", "ensemble.1.config", "second.yaml")
def _(shop: Workshop) -> list[str]:
    members = [{"run": "a", "config": "quickstart.yaml"}, {"run": "b", "config": "second.yaml"}]
    shop.sections["ensemble"] = members
    return _validate(shop)


@mistake("file name with an escape that is not there", "encoder.weights", "control character")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, encoder={"weights": "gone\x1b[31m.h5"})


@mistake("encoder in capitals that there is not", "'VGG-17'", "capsmith list encoders")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, encoder={"type": "VGG-17"})


@mistake("decoder of another spelling through --set", "decoder.type", "'Mergge'")
def _(shop: Workshop) -> list[str]:
    return [*_validate(shop), "--set", "decoder.type=Mergge"]


@mistake("metric as papers write it that there is not", "'BLEU-5'")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, evaluation={"metrics": ["BLEU-4", "BLEU-5"]})


@mistake("encoder's name of dashes alone", "'---'")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, encoder={"type": "---"})


@mistake("our own CNN in capitals with ImageNet weights", "small_cnn", "ImageNet")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, encoder={"type": "Small-CNN", "weights": "imagenet"})


@mistake("data that is not there under nohup", "data.root")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(data={"root": str(shop / "gone")}), "--run", str(shop / "runs" / "new")]
