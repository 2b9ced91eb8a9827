"""The build backend (PEP 517) that pyproject.toml names: setuptools, which also compiles the native library.

If the system has no C compiler, `pip install` gets the package ziglang for the time of the build. If compiling fails,
or the environment variable NMT_NO_NATIVE is set, the package is installed without the library.
"""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.build_meta import _BuildMetaBackend
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

from nmt.native.build import BuildError, build, is_wanted, list_build_requirements
from nmt.system.native_library import LIBRARY


class BuildLibrary(build_ext):
    """Compile the library. To setuptools it is an extension module with an unusual file name."""

    def run(self) -> None:
        output = Path(self.build_lib, self.get_ext_filename(self.extensions[0].name)).absolute()
        output.unlink(missing_ok=True)  # setuptools keeps this folder after a build, and packages what is there
        try:
            self.announce(build(LIBRARY if self.inplace else output), level=2)
        except BuildError as error:
            self.warn(str(error))

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split(".")[:-1], LIBRARY.name))


class BuildWheel(bdist_wheel):
    """Build a wheel for one platform and all versions of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        _, _, tag = super().get_tag()
        # The library is for this processor only, also if Python is for both kinds of processors of a Mac.
        return "py3", "none", tag.replace("universal2", platform.machine())


class Backend(_BuildMetaBackend):
    """The hooks of setuptools. https://setuptools.pypa.io/en/latest/build_meta.html describes this way to extend it."""

    def run_setup(self, setup_script: str = "setup.py") -> None:  # noqa: ARG002
        if is_wanted():
            library = Extension("nmt.native.libnmt", sources=[])
            setup(ext_modules=[library], cmdclass={"build_ext": BuildLibrary, "bdist_wheel": BuildWheel})
        else:
            setup()

    def get_requires_for_build_wheel(self, config_settings: Mapping[str, Any] | None = None) -> list[str]:
        return [*super().get_requires_for_build_wheel(config_settings), *list_build_requirements()]


_BACKEND = Backend()
build_wheel = _BACKEND.build_wheel
build_editable = _BACKEND.build_editable
build_sdist = _BACKEND.build_sdist
get_requires_for_build_wheel = _BACKEND.get_requires_for_build_wheel
get_requires_for_build_editable = _BACKEND.get_requires_for_build_editable
get_requires_for_build_sdist = _BACKEND.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = _BACKEND.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = _BACKEND.prepare_metadata_for_build_editable
