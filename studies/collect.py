"""From records to CSV files: what figures, tables and people read. Reads the store, trains nothing.

For the study ``NAME`` the results folder (``results/``, or ``results/quick/`` for ``--quick``) gets

``NAME.csv``, one row per planned run, in the plan's order:

====================================  ===================================================================================
``study label model dataset``         what was run; ``label`` is how tables and figures call the arm
``seed split_seed``                   the repetition, and the split of the data it saw
``quick``                             whether it is a shortened run
``status reason``                     ``done``, ``failed`` (with the reason) or ``missing``
``run arm``                           id of the run (its record's file name), id of the arm (the run without its seeds)
one column per model option           ``format post_activation layers rows heads …``; "none" where the option is off, empty where the
                                      model has no such option
``training_…``                        one column per setting of the training (``training_loss``, ``training_learning_rate``, …)
``train_rows``                        rows of the training split that were used; empty for all
the metrics                           of the task ``train``: ``test_auc test_logloss valid_auc valid_logloss best_epoch epochs
                                      train_seconds epoch_seconds inference_us latency_us parameters embedding_parameters``; AUC as a
                                      fraction; ``inference_us`` is µs per row in batches, ``latency_us`` is µs for one row by itself.
                                      Of ``boundary``: ``test_accuracy train_accuracy test_auc test_logloss parameters train_seconds
                                      gradient_variation largest_jump jump_order`` (see `studies.boundary_task`).
                                      Of ``scaling``: see `studies.scaling_task`.
``theory_…``                          of the arm's format, computed and not measured; see `studies.theory_columns`
``published_source _model _setting``  the keys of the published numbers of this arm (empty where the study has none)
``published_dataset``                 the data set that the published numbers are for: the run's own, else the study's reference
``published_METRIC``                  one column per published metric: ``published_auc`` (a fraction), ``published_logloss``, …
``commit torch processor threads``    where it was computed
====================================  ===================================================================================

``NAME_summary.csv``, one row per data set and arm: the columns that do not differ between its runs, ``n`` (runs that ended well), and
for every metric ``METRIC_mean``, ``METRIC_std`` and the 95 % interval of the mean ``METRIC_low``, ``METRIC_high`` (empty for one run).

``NAME_comparisons.csv``, one row per tested pair of arms; see `studies.comparisons`.

``NAME_grid.csv`` (``dataset label seed x1 x2 probability``) and ``NAME_points.csv`` (``dataset split x1 x2 label``) of the task
``boundary``; ``NAME_history.csv`` (``run dataset label seed epoch`` and what was measured in each epoch) of the task ``train``.
"""
