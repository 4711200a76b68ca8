# SPDX-License-Identifier: GPL-2.0-only
# Makes $(obj)/svm_config.h: what this kernel's API has, found by compiling
# small snippets with the kernel's own flags. Each Makefile that includes this
# gets a header of its own, so that folders may be built in any order.
#
# In: svm-kernel-dir (this folder). The includer makes its objects depend on
# $(obj)/svm_config.h.

svm-probe-sources := $(wildcard $(svm-kernel-dir)/probe/*.c)
svm-probe-script := $(svm-kernel-dir)/probe.sh

# objtree is in the command, so another kernel means other answers.
quiet_cmd_svm_probe = PROBE   $@
      cmd_svm_probe = $(CONFIG_SHELL) $(svm-probe-script) $@ \
	"$(abspath $(objtree)) $(KERNELRELEASE)" $(svm-probe-sources) -- \
	$(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) \
	$(KBUILD_CFLAGS) $(KBUILD_CFLAGS_MODULE) -DMODULE

$(obj)/svm_config.h: $(svm-probe-sources) $(svm-probe-script) \
		$(objtree)/include/generated/autoconf.h FORCE
	$(call if_changed,svm_probe)

targets += svm_config.h
clean-files += svm_config.h
