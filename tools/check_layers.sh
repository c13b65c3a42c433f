#!/usr/bin/env bash
# Holds the folders of src/ to the list of what each may include (the brackets of docs/TOUR.md). Exit 1 names each offending include.
set -eu
cd "${1:-.}/src"
allowed() {
  case "$1" in
    base) echo base ;;
    num) echo num base ;;
    format) echo format base num ;;
    net) echo net base format ;;
    text) echo text base format ;;
    data) echo data base num format text ;;
    model) echo model base num format ;;
    loss) echo loss base ;;
    train) echo train base num format data model loss ;;
    infer) echo infer base num format text data model ;;
    reward) echo reward base format net text data model infer ;;
    eval) echo eval base num format net text data model infer loss reward ;;
    export) echo export base num format text data model ;;
    report) echo report base num format ;;
    serve) echo serve base format text model infer reward report ;;
    library) echo library base num format text data model infer reward ;;
    pipeline) echo base num format net text data model loss train infer reward eval export report serve pipeline ;;
    cli) echo base num format net text data model loss train infer reward eval export report serve pipeline cli ;;
    *) echo ;;
  esac
}
failed=0
for folder in */; do
  folder=${folder%/}
  list=" $(allowed "$folder") "
  while IFS=: read -r file include; do
    [ -n "$file" ] || continue
    case "$list" in *" ${include%%/*} "*) ;; *) echo "src/$file includes $include, which $folder may not"; failed=1 ;; esac
  done < <(grep -HoE '^#include "[a-z]+/[^"]+"' -r "$folder" --include='*.[ch]' | sed -E 's/#include "([^"]+)"/\1/')
done
exit $failed
