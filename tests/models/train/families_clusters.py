"""k-means, principal components, an isolation forest."""

from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common import SEED
from families import sklearn


def run(name, model, data, task, text, **more):
    return sklearn(name, "families_clusters", model, data, task, text, **more)


def iris_kmeans():
    """Scores: distances to the centres."""
    model = KMeans(3, n_init=4, random_state=SEED)
    return run("iris_kmeans", model, "iris", "clusters", "Three clusters of flowers.", outputs=["label", "scores"])


def wine_pca():
    model = make_pipeline(StandardScaler(), PCA(4))
    text = "The first four principal components of standardised features."
    return run("wine_pca", model, "wine", "transform", text, outputs=["scores"])


def wine_pca_logreg():
    model = make_pipeline(StandardScaler(), PCA(5), LogisticRegression())
    text = "Logistic regression on five principal components: which of three cultivars?"
    return run("wine_pca_logreg", model, "wine", "classification", text, outputs=["label", "scores"])


def iris_isolation_forest():
    model = IsolationForest(n_estimators=12, max_samples=32, random_state=SEED)
    text = "Isolation forest: 1 where a flower is like the others, -1 where it is not; and its score."
    return run("iris_isolation_forest", model, "iris", "outliers", text, outputs=["label", "scores"])
