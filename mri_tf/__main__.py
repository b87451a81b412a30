"""`python -m mri_tf COMMAND ...`: as the console script `mri-tf`."""

import sys

from mri_tf.cli import main

sys.exit(main())
