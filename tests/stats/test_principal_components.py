"""Principal components, Q and T² against scikit-learn and the definitions."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from jaxft.stats.moments import moments
from jaxft.stats.principal_components import principal_components


def correlated(n, p=12, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, p)) @ np.diag(0.7 ** np.arange(p)) @ random.normal(size=(p, p)) + 5.0


@pytest.fixture(scope="module")
def fitted():
    x = correlated(200)
    return x, principal_components(moments(x), explained=0.9)


def test_axes_and_scores_are_scikit_learns(fitted):
    x, model = fitted
    z = StandardScaler().fit_transform(x) * np.sqrt(199 / 200)  # SD with n - 1
    theirs = PCA(svd_solver="full").fit(z)
    np.testing.assert_allclose(model.eigenvalues, theirs.explained_variance_, rtol=1e-9)
    scores = theirs.transform(z)[:, : model.retained]
    signs = np.sign((scores * model.scores(x)).sum(axis=0))
    np.testing.assert_allclose(model.scores(x), scores * signs, atol=1e-9)


def test_q_is_the_squared_error_of_scikit_learns_reconstruction(fitted):
    x, model = fitted
    new = correlated(30, seed=3)
    z, z_new = model.standardise(x), model.standardise(new)
    theirs = PCA(n_components=model.retained, svd_solver="full").fit(z)
    error = ((z_new - theirs.inverse_transform(theirs.transform(z_new))) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.q(new), error, rtol=1e-8)


def test_t2_is_the_mahalanobis_distance_inside_the_subspace(fitted):
    x, model = fitted
    scores = model.scores(x)
    expected = np.einsum("ij,jk,ik->i", scores, np.linalg.inv(np.cov(scores, rowvar=False)), scores)
    np.testing.assert_allclose(model.t2(x), expected, rtol=1e-8)


def test_t2_of_the_mean_is_zero_and_q_too(fitted):
    x, model = fitted
    mean = x.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(model.t2(mean), 0.0, atol=1e-20)
    np.testing.assert_allclose(model.q(mean), 0.0, atol=1e-20)


def test_q_is_zero_with_all_components():
    x = correlated(200)
    model = principal_components(moments(x), explained=1.0)
    assert model.retained == 12
    assert (model.q(correlated(30, seed=3)) == 0.0).all()


def test_as_many_components_as_explain_the_share(fitted):
    _, model = fitted
    share = np.cumsum(model.explained)
    assert share[model.retained - 1] >= 0.9 > share[model.retained - 2]


def test_at_most_holds_even_where_it_explains_little():
    model = principal_components(moments(correlated(200)), explained=0.99, at_most=2)
    assert model.retained == 2
    none = principal_components(moments(correlated(200)), at_most=0)
    new = correlated(5, seed=1)
    np.testing.assert_allclose(none.q(new), (none.standardise(new) ** 2).sum(axis=1), rtol=1e-10)
    assert (none.t2(new) == 0.0).all()


def test_fewer_rows_than_columns_keep_only_axes_with_variance():
    x = correlated(5)
    model = principal_components(moments(x), explained=1.0)
    assert model.retained == 4
    np.testing.assert_allclose(model.q(x), 0.0, atol=1e-12)


def test_signs_do_not_depend_on_the_order_of_rows():
    x = correlated(100)
    one, other = principal_components(moments(x)), principal_components(moments(x[::-1]))
    np.testing.assert_allclose(one.scores(x[:3]), other.scores(x[:3]), rtol=1e-6)
    largest = one.axes[np.abs(one.axes).argmax(axis=0), np.arange(one.axes.shape[1])]
    assert (largest > 0).all()


def test_columns_that_hardly_vary_are_dropped():
    x = correlated(100)
    x[:, 3] = 2.0
    x[:, 7] *= 1e-6
    model = principal_components(moments(x))
    assert model.kept.tolist() == [k not in (3, 7) for k in range(12)]
    shifted = x.copy()
    shifted[:, 3] += 100.0
    np.testing.assert_array_equal(model.q(shifted), model.q(x))


def test_rows_that_are_all_alike_are_refused_in_words():
    with pytest.raises(ValueError, match="no column varies"):
        principal_components(moments(np.ones((4, 3))))
