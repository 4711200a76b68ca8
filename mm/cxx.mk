# SPDX-License-Identifier: GPL-2.0-only
# How Kbuild compiles C++ (kernels 6.1 and later, gcc or clang).
#
# A module has exactly one C++ unit: a template that two units emit would leave
# an __mcount_loc entry that points into a discarded section. The flags are the
# kernel's own for C, less those that C++ does not know, plus what makes C++
# freestanding. No kernel header is ever included from C++, and cxx_check.sh
# refuses a unit that needs more of the kernel than mm/port.h offers or that
# has static constructors.
#
# In: cxx-dir (this folder), cxxflags-y (more flags).

cxx-cc := $(lastword $(CC))
KCXX ?= $(filter-out $(cxx-cc),$(CC)) $(if $(findstring clang,$(cxx-cc)),$(subst clang,clang++,$(cxx-cc)),$(subst gcc,g++,$(cxx-cc)))

cxx-drop := -std=% -Werror=implicit-% -Werror=strict-prototypes \
	-Werror=incompatible-pointer-types -Werror=designated-init \
	-Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations \
	-Wold-style-% -Wmissing-parameter-type -Wnested-externs \
	-Wbad-function-cast -Wdeclaration-after-statement -Wno-pointer-sign \
	-Wno-override-init -Wenum-conversion -Wno-main -fms-extensions \
	-Wno-incompatible-pointer-types-discards-qualifiers \
	$(CC_FLAGS_LTO) $(GCC_PLUGINS_CFLAGS) $(RANDSTRUCT_CFLAGS)

# -fno-weak: an out-of-line template is local to the one unit, no COMDAT group. gcc then warns, without
# an option to say no, that a template's constants are local too; which is what one unit wants. So to
# gcc our own headers are system headers here; the host's build has all warnings on.
# -g1: pahole cannot read more.
cxx-lang := -std=gnu++20 -ffreestanding -nostdlib -fno-exceptions -fno-rtti \
	-fno-threadsafe-statics -fno-use-cxa-atexit -fno-operator-names \
	-fno-unwind-tables -fno-asynchronous-unwind-tables \
	$(if $(CONFIG_CC_IS_GCC),-fno-weak -isystem $(cxx-dir)/..) -g1

# -MD, not -MMD, which leaves out system headers: that would be all of the core.
cxx_flags = -Wp,-MD,$(depfile) -I$(objtree)/include \
	-include $(srctree)/include/linux/kconfig.h \
	$(filter-out $(cxx-drop),$(_c_flags) $(modkern_cflags)) $(cxx-lang) \
	$(cxxflags-y) $(basename_flags) $(modname_flags)

cxx-check := $(cxx-dir)/cxx_check.sh
quiet_cmd_cxx_check =
      cmd_cxx_check = NM='$(NM)' $(CONFIG_SHELL) $(cxx-check) $@ $(cxx-dir)/port.h

quiet_cmd_cxx_o_cpp = CXX $(quiet_modtag) $@
      cmd_cxx_o_cpp = $(KCXX) $(cxx_flags) -c -o $@ $< $(cmd_objtool)

define rule_cxx_o_cpp
	$(call cmd_and_fixdep,cxx_o_cpp)
	$(call cmd,gen_objtooldep)
	$(call cmd,record_mcount)
	$(call cmd,cxx_check)
endef

# $(obj), not $(src): with MO= builds of newer kernels VPATH finds the source.
$(obj)/%.o: $(obj)/%.cpp $(cxx-check) $(recordmcount_source) FORCE
	$(call if_changed_rule,cxx_o_cpp)
