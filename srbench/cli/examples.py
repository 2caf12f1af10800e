"""Two examples for the help of each built-in command, as somebody would type them."""

from __future__ import annotations

EXAMPLES = """
srbench run bicubic srresnet --datasets Set5,Set14
srbench run mynet.py:make --scale 2 --datasets my/photographs --save-images

srbench score results --metrics psnr_y@basicsr
srbench score results --metrics ssim_rgb,lpips

srbench report results
srbench report results --format html,tex --out paper

srbench figure results --image 0005 --crop 120,80,64,48 -o figure.pdf
srbench figure results --image 0005,0010 --models bicubic,srcnn -o figure.tex

srbench check results --baseline tests/baseline.json --update
srbench check results --baseline tests/baseline.json --tolerance psnr_y=0.02

srbench compare results --models bicubic,srresnet
srbench compare results --metric lpips --format json

srbench explain 33.66 --scale 2
srbench explain 0.81 results --model bicubic --dataset Set5 --matrix

srbench claims published.toml
srbench claims published.toml --results results

srbench verify "$SIGNATURE" 28.42
srbench verify "$SIGNATURE" 28.42 --dataset my/Set5

srbench speed srcnn srresnet --sizes 120x80,256x256 --backend eager,onnx
srbench speed --models srcnn,srresnet --threads 1

srbench choose results --max-ms 50
srbench choose results --max-mib 200 --metric lpips

srbench upscale photo.jpg large.png
srbench upscale photos large --model bicubic --scale 2

srbench export srresnet srresnet.onnx
srbench export srresnet srresnet.pt --format torchscript

srbench study make results study
srbench study make results study --models srresnet,srgan --mode opinion

srbench study serve study
srbench study serve study --host 0.0.0.0 --port 8000

srbench study score study
srbench study score study --into results

srbench measure sr.png hr.png
srbench measure sr_folder hr_folder --scale 2 --format csv

srbench degrade hr.png lr.png
srbench degrade hr_folder lr_folder --scale 2

srbench data list
srbench data list --data-root ~/data

srbench data prepare Set5
srbench data prepare Set5 Set14 --from ~/downloads

srbench data verify
srbench data verify Set5 Urban100

srbench data audit --train my/training/images
srbench data audit --train my/training/images --against Set5,Set14

srbench list models
srbench list metrics --format json

srbench doctor
srbench doctor --format json
""".splitlines()


def examples_of(command: str) -> list[str]:
    """The lines that call a command, such as `srbench data list`."""
    return [line for line in EXAMPLES if f"{line} ".startswith(f"{command} ")]
