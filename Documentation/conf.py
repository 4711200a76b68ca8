# SPDX-License-Identifier: GPL-2.0-only
# Sphinx configuration. Build: sphinx-build -W -b html Documentation out/docs
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "sphinx"))
sys.dont_write_bytecode = True

project = "svmirror"
extensions = ["kerneldoc"]
exclude_patterns = ["sphinx"]
html_theme = "alabaster"
html_copy_source = False
highlight_language = "none"
primary_domain = "c"
smartquotes = False
c_id_attributes = ["__iomem"]

# A name in the text that leads nowhere is a mistake, unless the kernel or the C library has it.
nitpicky = True
nitpick_ignore_regex = [
	(r"c:identifier", r"__[us]\d+|[us]\d+|u?int\d+_t|size_t|bool|phys_addr_t"),
	(r"c:(identifier|struct)", r"mm_struct|device|drm_device|drm_driver|drm_file|drm_gem_object|drm_syncobj|dma_buf|dma_fence|file|list_head|seq_file|vm_area_struct"),
	(r"c:identifier", r"[A-Z][A-Z0-9_]+"),    # macros in array bounds
	(r"c:enum", r"svgpu_kernel"),              # in hw/svgpu_regs.h, quoted in virtual-gpu.rst
]
