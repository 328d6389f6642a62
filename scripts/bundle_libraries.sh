#!/usr/bin/env bash
# Copies the shared libraries of PROGRAM that neither torch nor a bare system brings into FOLDER, with their licences:
# ICU, SentencePiece, libpng and libjpeg. Of ICU's 31 MB of data only the tables of compatibility normalization are taken, all that this
# program reads from them (the rest of what it asks of ICU is compiled into its code).
#   scripts/bundle_libraries.sh PROGRAM FOLDER
set -euo pipefail
program=${1:?usage: scripts/bundle_libraries.sh PROGRAM FOLDER} folder=$2
mkdir -p "$folder"

library() {  # NAME: where the loader finds it for the program
  ldd "$program" | awk -v name="$1" 'index($1, name) == 1 {print $3; exit}'
}

for name in libicuuc.so libicui18n.so libsentencepiece.so libpng16.so libjpeg.so; do
  file=$(library $name)
  [[ -n $file ]] || { echo "bundle_libraries: $program does not use $name" >&2; exit 1; }
  install -m 755 "$(readlink -f "$file")" "$folder/$(basename "$file")"
done
for package in libicu-dev libsentencepiece-dev libpng-dev libjpeg62-turbo-dev; do
  [[ ! -f /usr/share/doc/$package/copyright ]] || cp "/usr/share/doc/$package/copyright" "$folder/LICENSE.${package%-dev}"
done

data=$(library libicudata.so)
soname=$(basename "$data") version=${data##*.so.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/small"
# the data are one object of the library: its address is its offset (their segment is mapped one to one)
read -r address size < <(readelf --dyn-syms --wide "$data" | awk -v name="icudt${version}_dat" '$8 == name {print $2, $3}')
tail -c +$((16#$address + 1)) "$data" | head -c "$((size))" > "$work/icudt${version}l.dat"
icupkg="$(command -v icupkg || echo /usr/sbin/icupkg)" genccode="$(command -v genccode || echo /usr/sbin/genccode)"
"$icupkg" -l "$work/icudt${version}l.dat" | grep -vxE 'nfkc(_cf)?\.nrm' > "$work/rest.lst"
"$icupkg" -r "$work/rest.lst" "$work/icudt${version}l.dat" "$work/small/icudt${version}l.dat"
"$genccode" -a gcc -e "icudt$version" -d "$work/small" "$work/small/icudt${version}l.dat" >/dev/null
${CC:-gcc} -shared -Wl,-soname,"$soname" -o "$folder/$soname" "$work/small/icudt${version}l_dat.S"
strip --strip-unneeded "$folder"/*.so*
