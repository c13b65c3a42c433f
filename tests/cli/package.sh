#!/usr/bin/env bash
# The Debian package: it builds, depends on the libraries that are linked, holds what cmake --install installs, and its program runs from
# where it is unpacked. docs/install.md says how it was tried in a fresh Debian.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build=$(dirname "$RAPT")
for tool in cpack dpkg-deb dpkg-shlibdeps; do
  command -v "$tool" >/dev/null || { echo "skipped: needs $tool"; exit 77; }
done
[ -e "$build/CPackConfig.cmake" ] && [ -e "$build/librapt.so" ] || { echo "skipped: not a build folder"; exit 77; }
nm "$build/librapt.so" | seen __asan && { echo "skipped: a sanitized build is no package"; exit 77; }
cd "$dir"
cpack --config "$build/CPackConfig.cmake" -B "$dir/out" >log 2>&1 || { cat log; exit 1; }
package=$(find out -maxdepth 1 -name '*.deb')
version=$("$RAPT" --version | cut -d' ' -f2)
[ "$(basename "$package")" = "rapt_${version}_$(dpkg --print-architecture).deb" ]
dpkg-deb -f "$package" Depends >depends
for library in libc6 libcurl libdnnl libgomp libpcre2-8 libutf8proc libxxhash libyaml libzstd zlib1g; do has depends "$library"; done
dpkg-deb -f "$package" Description | seen '^reward-augmented'
dpkg-deb --ctrl-tarfile "$package" | tar -t | seen triggers
dpkg-deb -x "$package" root
dpkg-deb -c "$package" | awk '{ print $6 }' >files
for file in bin/rapt include/rapt.h share/doc/rapt/copyright share/doc/rapt/changelog.gz share/doc/rapt/docs/TOUR.md share/man/man1/rapt.1.gz \
  share/man/man1/rapt-train.1.gz share/bash-completion/completions/rapt share/zsh/vendor-completions/_rapt share/fish/vendor_completions.d/rapt.fish \
  share/rapt/recipes share/rapt/examples/quickstart.yaml share/rapt/examples/library/goals.c; do
  grep -qE "^\./usr/$file/?$" files || { echo "the package lacks $file:"; cat files; exit 1; }
done
grep -qE '^\./usr/lib/.*librapt\.so\.[0-9]+$' files
grep -qE '^\./usr/lib/.*/?pkgconfig/rapt\.pc$' files
if dpkg-deb -c "$package" | awk '$2 != "root/root"' | grep .; then echo "files that are not root's"; exit 1; fi
root/usr/bin/rapt --version | seen -x "rapt $version"
gzip -dc root/usr/share/man/man1/rapt-train.1.gz | seen '^.SH "OPTIONS"'
