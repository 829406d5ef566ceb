"""Trains and exports the models: python train/train_all.py [names], all of them without names."""

import importlib
import os
import sys
import warnings

# read when Python and numpy start: sums in one order, and the exporters' sets in one order
FIXED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}

# name: module and function; a model's libraries are loaded only when it is trained
MODELS = {
    "breast_cancer_logreg": ("breast_cancer", "logreg"),
    "breast_cancer_xgb": ("breast_cancer", "xgb"),
    "diabetes_gbr": ("diabetes", "gbr"),
    "diabetes_xgb": ("diabetes", "xgb"),
    "digits_cnn": ("digits_cnn", "train"),
    "digits_mlp": ("digits_mlp", "train"),
    "iris_forest": ("iris", "forest"),
    "volatility_mlp": ("volatility", "train"),
    "wine_mixed": ("wine", "train"),
}

# small models of the other families people have, with a few dozen test rows: into families/
FAMILIES = {
    "families_svm": [
        "cancer_linear_svc", "cancer_svc_poly", "cancer_svc_proba", "diabetes_linear_svr", "diabetes_svr",
        "iris_one_class", "iris_svc", "wine_nusvc_sigmoid", "wine_svc_proba",
    ],
    "families_neighbours": ["diabetes_knn", "iris_knn", "wine_knn"],
    "families_bayes": [
        "digits_bernoulli_nb", "digits_multinomial_nb", "iris_gaussian_nb", "iris_gmm", "iris_qda", "wine_lda",
    ],
    "families_clusters": ["iris_isolation_forest", "iris_kmeans", "wine_pca", "wine_pca_logreg"],
    "families_trees": [
        "cancer_ada", "cancer_forest", "cancer_gbc", "diabetes_extra_trees", "diabetes_forest", "diabetes_hgb",
        "iris_gbc", "wine_forest", "wine_hgb_missing",
    ],
    "families_boosted": [
        "cancer_lgbm", "cancer_xgb_missing", "diabetes_lgbm", "diabetes_xgb_missing", "wine_lgbm_categories",
        "wine_lgbm_missing", "wine_xgb",
    ],
    "families_networks": [
        f"{name}_{exporter}"
        for name in ["digits_conv", "digits_encoder", "digits_gru", "digits_lstm", "wine_mlp"]
        for exporter in ["dynamo", "script"]
    ],
}  # fmt: skip
MODELS |= {name: (module, name) for module, names in FAMILIES.items() for name in names}


def main(names) -> None:
    if any(os.environ.get(key) != value for key, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | FIXED)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        sys.exit(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in names or MODELS:
        module, function = MODELS[name]
        trained = getattr(importlib.import_module(module), function)()
        folder = trained.save()
        size = (folder / "model.onnx").stat().st_size
        metric = ", ".join(f"{key} {value}" for key, value in trained.card["metric"].items())
        print(f"{name:24} {size:7} bytes  {len(trained.truth):5} test rows  {metric}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
