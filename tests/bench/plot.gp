# SPDX-License-Identifier: Apache-2.0
# Plots of what report.py left in the current directory as *.dat.
set terminal svg size 760,420 font 'Helvetica,13' background '#ffffff'
set border 3
set tics nomirror out
set grid ytics lc rgb '#dddddd'
set key outside right top reverse Left
set style line 1 lc rgb '#555555' lw 2 pt 7 ps 0.5
set style line 2 lc rgb '#c0392b' lw 2 pt 5 ps 0.5
set style line 3 lc rgb '#e67e22' lw 2 pt 9 ps 0.6
set style line 4 lc rgb '#8e44ad' lw 2 pt 13 ps 0.6
set style line 5 lc rgb '#1f77b4' lw 3 pt 7 ps 0.6
set style line 6 lc rgb '#1f77b4' lw 2 dt 2 pt 6 ps 0.6
set style line 7 lc rgb '#16a085' lw 2 dt 3 pt 6 ps 0.6

set output 'rules.svg'
set title 'Connections per second from ten pods, behind unrelated rules'
set xlabel 'unrelated rules (podcred: targets in its own configuration)'
set xtics ('0' 0, '100' 1, '1,000' 2, '10,000' 3)
set xrange [-0.1:3.1]
set yrange [0:*]
set format y "%'.0f"
plot 'rules.dat' using 0:2 with linespoints ls 1 title 'direct', \
     '' using 0:3 with linespoints ls 2 title 'iptables-legacy DNAT', \
     '' using 0:4 with linespoints ls 3 title 'iptables-nft DNAT', \
     '' using 0:5 with linespoints ls 4 title 'nftables DNAT, map', \
     '' using 0:6 with linespoints ls 5 title 'podcred', \
     '' using 0:7 with linespoints ls 6 title 'podcred, rules of kube-proxy', \
     '' using 0:8 with linespoints ls 7 title 'the same, with NOTRACK'

set output 'redirect.svg'
set title 'A short connection from one pod: time against a direct one (median of rounds, 95% interval)'
unset key
set xlabel ''
set xtics auto
set xtics rotate by -20
set xrange [*:*]
set format y '%.2f'
set yrange [0.9:*]
set boxwidth 0.5
set style fill solid 0.7
plot 'redirect.dat' using 0:2:xtic(1) with boxes lc rgb '#1f77b4', \
     '' using 0:2:3:4 with yerrorbars lc rgb '#222222' pt 0, \
     1 with lines lc rgb '#555555' dt 2

set output 'lookup.svg'
set title 'Who is at the other end of this socket?'
set key outside right top reverse Left
set xlabel 'pods on the node'
set ylabel 'ns per answer'
set logscale xy
set xtics norotate (10, 110, 1000, 5000)
set format y "%'.0f"
set xrange [8:7000]
set yrange [100:*]
plot 'lookup.dat' using 1:2 with linespoints ls 5 title 'podcred\_peer()', \
     '' using 1:3 with linespoints ls 4 title 'two map lookups', \
     '' using 1:4 with linespoints ls 1 title 'source IP in an index', \
     '' using 1:5 with linespoints ls 2 title 'walk of cgroupfs'
