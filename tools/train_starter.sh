#!/usr/bin/env bash
# Trains, averages and exports the starter: DATA=/path/to/Flickr8k ENCODER=/path/to/efficientnet_lite2_notop.keras
#
# Each step resumes where it stopped. The export goes to runs/starter-int8; copy it to src/capsmith/deploy/starter_data.
set -euo pipefail
capsmith=${CAPSMITH:-capsmith} python=${PYTHON:-python}
source=(--set data.root="$DATA" --set encoder.weights="$ENCODER" --set evaluation.after_training=null)
dev=runs/starter_dev_images

train() { run=$1; shift; "$capsmith" train --run "runs/$run" --resume "${source[@]}" "$@"; }

train starter_words --config starter_words.yaml
train starter_scst --config starter.yaml
train starter_neighbours --config starter.yaml --set training.neighbours=10
"$python" -m tools.teacher_captions runs/teacher.jsonl \
    runs/starter_scst runs/starter_words runs/starter_neighbours --set data.root="$DATA"
train starter_distilled --config starter_words.yaml --set training.resume_weights_from=runs/starter_words \
    --set training.teacher_captions=runs/teacher.jsonl --set training.epochs=3 --set training.learning_rate=3.0e-4 \
    --set training.warmup=0.25
train starter_distilled_scst --config starter.yaml --set seed=2 --set training.epochs=6 \
    --set training.resume_weights_from=runs/starter_distilled --set training.stage_one=null

cat > runs/starter.yaml <<'YAML'
members: [starter_distilled_scst, starter_scst, starter_distilled, starter_words]
average: true
YAML
mkdir -p "$dev"
while read -r image; do ln -sf "$(realpath "$DATA/Images/$image")" "$dev/"; done < <(head -200 "$DATA/Flickr_8k.devImages.txt")
"$capsmith" evaluate runs/starter.yaml --split test --set data.root="$DATA"
"$capsmith" export runs/starter.yaml runs/starter-int8 --format onnx --quantise int8 --images "$dev" \
    --set data.root=data/flickr8k --set encoder.weights=efficientnet_lite2_notop.keras
