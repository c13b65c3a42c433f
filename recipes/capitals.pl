# A verifiable rule for rapt score --rule command: the share of words that begin with a capital letter, 1 from one half on. Fewer than eight words count as eight.
while (<STDIN>) {
    my ($text) = /"response": ?"((?:[^"\\]|\\.)*)"/ or die "capitals.pl: line $.: no response\n";
    $text =~ s/\\[nrt]/ /g;
    my @words = split ' ', $text;
    my $capitals = grep { /^[^A-Za-z]*[A-Z]/ } @words;
    my $share = 2 * $capitals / (@words < 8 ? 8 : @words);
    print $share > 1 ? 1 : $share, "\n";
}
